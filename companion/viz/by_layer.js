start("by_layer", ({ layers, sentences, cosines, picked }, find, all) => {
  const places = sentences.flatMap((sentence, number) =>
    sentence.map((token, index) => `'${token}' (token ${index + 1} of sentence ${number + 1})`));
  const bars = all(".bar");
  const shown = { layer: 0, token: picked };

  function draw() {
    const { layer, token } = shown;
    const rows = cosines.map((numbers) => numbers.slice(token * places.length, (token + 1) * places.length));
    const now = rows[layer];
    drawBars(bars, now);
    bars.forEach((bar, index) => bar.classList.toggle("picked", index === token));
    reach(buttons, token);
    mark(buttons, token, "aria-pressed");
    writeAll(all("tbody td"), places.flatMap((_, index) => rows.map((row) => digits(row[index]))));
    find("caption").textContent = `Cosine with ${places[token]}`;
    slider.setAttribute("aria-valuetext", layers[layer]);
    said.textContent = layers[layer];
    let nearest = -1;
    now.forEach((number, index) => {
      if (index !== token && (nearest < 0 || number > now[nearest])) nearest = index;
    });
    const like = nearest < 0 ? "" : ` Most like it: ${places[nearest]}, cosine ${digits(now[nearest])}.`;
    find(".sentence").textContent = `${places[token]}, ${layers[layer]}.${like}`;
  }

  const lines = sentences.map((sentence, number) => [`sentence ${number + 1}`, sentence]);
  const buttons = chooseToken(find(".choices"), "The token that is compared", lines, (token) => {
    shown.token = token;
    draw();
  });
  const [slider, said] = slide(find(".choices"), "layer", layers.length - 1, 0, (layer) => {
    shown.layer = layer;
    draw();
  });
  find(".how").append(" Press a token or go there with Tab and the arrow keys; then move the slider.");
  draw();
});
