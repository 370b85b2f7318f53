(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".clock:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const { encoding, turns, products, position, offset, positions, offsets } = JSON.parse(root.dataset.picture);
    const find = (what) => root.querySelector(what);
    const all = (what) => [...root.querySelectorAll(what)];
    const shown = { position, offset };
    const text = (thousandths) => (thousandths / 1000).toFixed(3);
    const faces = all(".face");
    const rows = all("tbody tr");

    // A native slider: pointer, touch, arrow keys, Home and End all work.
    function slide(name, what, most) {
      const label = find(".choices").appendChild(document.createElement("label"));
      const said = label.appendChild(document.createElement("span"));
      const slider = label.appendChild(document.createElement("input"));
      slider.type = "range";
      slider.min = 0;
      slider.max = most;
      slider.step = 1;
      slider.value = shown[what];
      const number = label.appendChild(document.createElement("output"));
      said.textContent = name;
      number.textContent = shown[what];
      slider.addEventListener("input", () => {
        shown[what] = Number(slider.value);
        number.textContent = slider.value;
        draw();
      });
      slider.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook is not to move as well
    }

    function point(line, numbers, first) {
      line.setAttribute("x2", (42 + (34 * numbers[first]) / 1000).toFixed(1));
      line.setAttribute("y2", (42 - (34 * numbers[first + 1]) / 1000).toFixed(1));
    }

    function draw() {
      const later = shown.position + shown.offset;
      const here = encoding[shown.position];
      faces.forEach((face, pair) => {
        point(face.querySelector(".now"), here, 2 * pair);
        point(face.querySelector(".later"), encoding[later], 2 * pair);
        face.querySelectorAll("b").forEach((number, part) => (number.textContent = text(here[2 * pair + part])));
      });
      rows.forEach((row, pair) => {
        const cells = row.querySelectorAll("td");
        cells[0].textContent = text(here[2 * pair]);
        cells[1].textContent = text(here[2 * pair + 1]);
        cells[2].textContent = (turns[shown.offset][pair] / 10).toFixed(1);
      });
      find("summary").textContent = `The numbers of position ${shown.position}`;
      find(".faces").setAttribute(
        "aria-label",
        `${faces.length} clock faces, one for each pair of features. The thick hand stands at position ${shown.position}, the thin hand at position ${later}. The numbers are in the table below.`
      );
      find(".sentence").textContent =
        `Position ${shown.position}, and position ${later}: ${shown.offset} further on. ` +
        `Dot product of the two encodings: ${(products[shown.offset] / 100).toFixed(2)}, as for any two positions ${shown.offset} apart.`;
    }

    slide("position", "position", positions);
    slide("steps further", "offset", offsets);
    find(".how").append(" Move the sliders, or press Tab and then the arrow keys.");
    draw();
  }
})();
