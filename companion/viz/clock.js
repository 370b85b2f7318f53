start("clock", ({ encoding, turns, products, position, offset, positions, offsets }, find, all) => {
  const text = (thousandths) => (thousandths / 1000).toFixed(3);
  const faces = all(".face");

  function point(kind, numbers) {
    all(`line.${kind}`).forEach((hand, pair) => setAll(hand, { x2: numbers[2 * pair], y2: numbers[2 * pair + 1] }));
  }

  function draw() {
    const later = position + offset;
    const here = encoding[position].map(text);
    point("now", encoding[position]);
    point("later", encoding[later]);
    writeAll(all(".face b"), here);
    const degrees = turns[offset].map((tenths) => (tenths / 10).toFixed(1));
    writeAll(all("td"), faces.flatMap((_, pair) => [here[2 * pair], here[2 * pair + 1], degrees[pair]]));
    writeAll(outputs, [position, offset]);
    find("summary").textContent = `The numbers of position ${position}`;
    find(".faces").setAttribute(
      "aria-label",
      `${faces.length} clock faces, one for each pair of features. The thick hand stands at position ${position}, the thin hand at position ${later}. The numbers are in the table below.`,
    );
    find(".sentence").textContent =
      `Position ${position}, and position ${later}: ${offset} further on. ` +
      `Dot product of the two encodings: ${digits(products[offset])}, as for any two positions ${offset} apart.`;
  }

  const outputs = [
    slide(find(".choices"), "position", positions, position, (to) => {
      position = to;
      draw();
    }),
    slide(find(".choices"), "steps further", offsets, offset, (to) => {
      offset = to;
      draw();
    }),
  ].map(([, output]) => output);
  find(".how").append(" Move the sliders, or press Tab and then the arrow keys.");
  draw();
});
