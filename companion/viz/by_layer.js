(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".by_layer:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const { layers, sentences, cosines, picked } = JSON.parse(root.dataset.picture);
    const find = (what) => root.querySelector(what);
    const text = (hundredths) => (hundredths / 100).toFixed(2);
    const places = sentences.flatMap((sentence, number) =>
      sentence.map((token, index) => `'${token}' (token ${index + 1} of sentence ${number + 1})`));
    const shown = { layer: 0, token: picked };
    const bars = [...root.querySelectorAll(".bar")];
    const rows = [...root.querySelectorAll("tbody tr")];
    const row = (layer) => cosines[layer].slice(shown.token * places.length, (shown.token + 1) * places.length);

    function draw() {
      const now = row(shown.layer);
      bars.forEach((bar, index) => {
        const fill = bar.querySelector(".fill");
        fill.style.left = `${50 + Math.min(now[index], 0) / 2}%`;
        fill.style.width = `${Math.abs(now[index]) / 2}%`;
        bar.lastChild.textContent = text(now[index]);
        bar.classList.toggle("picked", index === shown.token);
      });
      buttons.forEach((button, index) => {
        button.setAttribute("aria-pressed", index === shown.token);
        button.tabIndex = index === shown.token ? 0 : -1;
      });
      const all = layers.map((_, layer) => row(layer));
      rows.forEach((line, index) =>
        line.querySelectorAll("td").forEach((cell, layer) => (cell.textContent = text(all[layer][index]))));
      find("caption").textContent = `Cosine with ${places[shown.token]}`;
      slider.setAttribute("aria-valuetext", layers[shown.layer]);
      said.textContent = layers[shown.layer];
      let nearest = -1;
      now.forEach((number, index) => {
        if (index !== shown.token && (nearest < 0 || number > now[nearest])) nearest = index;
      });
      const like = nearest < 0 ? "" : ` Most like it: ${places[nearest]}, cosine ${text(now[nearest])}.`;
      find(".sentence").textContent = `${places[shown.token]}, ${layers[shown.layer]}.${like}`;
    }

    // A native slider: pointer, touch, arrow keys, Home and End all work.
    const label = document.createElement("label");
    label.appendChild(document.createElement("span")).textContent = "layer";
    const slider = label.appendChild(document.createElement("input"));
    Object.assign(slider, { type: "range", min: 0, max: layers.length - 1, step: 1, value: 0 });
    const said = label.appendChild(document.createElement("output"));
    slider.addEventListener("input", () => {
      shown.layer = Number(slider.value);
      draw();
    });
    slider.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook is not to move as well

    const group = document.createElement("div");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "The token that is compared; the arrow keys move");
    const buttons = sentences.flatMap((sentence, number) => {
      const line = group.appendChild(document.createElement("div"));
      line.appendChild(document.createElement("span")).textContent = `sentence ${number + 1}`;
      return sentence.map((token) => {
        const button = line.appendChild(document.createElement("button"));
        button.type = "button";
        button.textContent = token;
        return button;
      });
    });
    const pick = (token) => {
      shown.token = token;
      draw();
    };
    buttons.forEach((button, index) => button.addEventListener("click", () => pick(index)));
    group.addEventListener("keydown", (event) => {
      const now = buttons.indexOf(event.target);
      const last = buttons.length - 1;
      const to = { ArrowLeft: now - 1, ArrowUp: now - 1, ArrowRight: now + 1, ArrowDown: now + 1, Home: 0, End: last }[event.key];
      if (now < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      // Neither the page nor the notebook around it is to move as well.
      event.preventDefault();
      event.stopPropagation();
      const next = Math.max(0, Math.min(last, to));
      pick(next);
      buttons[next].focus();
    });
    find(".choices").replaceChildren(group, label);
    find(".how").append(" Press a token or go there with Tab and the arrow keys; then move the slider.");
    draw();
  }
})();
