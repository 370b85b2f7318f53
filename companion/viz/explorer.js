start("explorer", ({ queries, keys, layers }, find, all) => {
  const rows = all(".asker");
  const shown = { layer: 0, head: 0, query: 0 };
  const weights = () => layers[shown.layer][1][shown.head];

  function drawHead() {
    const [name, heads] = layers[shown.layer];
    const choices = [
      ["Layer", layers.map(([layer]) => layer), shown.layer, (index) => {
        shown.layer = index;
        shown.head = Math.min(shown.head, layers[index][1].length - 1);
      }],
      ["Head", heads.map((_, index) => index + 1), shown.head, (index) => (shown.head = index)],
    ];
    chooseAgain(find(".choices"), choices, drawHead);
    const where = heads.length > 1 ? `${name}, head ${shown.head + 1} of ${heads.length}` : name;
    all(".heat rect[fill-opacity]").forEach((cell, index) => cell.setAttribute("fill-opacity", weights()[index] / 100));
    writeAll(all("tbody td"), weights().map(digits));
    find("summary").textContent = `The numbers of ${where}`;
    find("caption").textContent = `${where}: rows ask, columns are attended to`;
    pick(shown.query);
  }

  function pick(query) {
    shown.query = query;
    reach(rows, query);
    mark(rows, query, "aria-selected");
    const numbers = weights().slice(query * keys.length, (query + 1) * keys.length);
    drawBars(all(".bar"), numbers);
    const most = numbers.map((number, key) => [number, key]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const named = most.filter(([number], rank) => number >= 10 || (rank === 0 && number > 0)).slice(0, 3);
    const list = named.map(([number, key]) => `'${keys[key]}' ${digits(number)}`).join(", ");
    find(".sentence").textContent = `'${queries[query]}' attends ${list ? `most to ${list}` : "to nothing"}.`;
  }

  setAll(find("svg"), { role: "listbox", "aria-label": "The token that asks; the arrow keys move" });
  rows.forEach((row, index) => {
    setAll(row, { role: "option", "aria-label": queries[index] });
    for (const event of ["pointerover", "click", "focus"]) row.addEventListener(event, () => pick(index));
  });
  rove(find("svg"), [rows], (_, query) => pick(query), ALONG);
  find(".how").append(" Point at a row, or press Tab and then the arrow keys.");
  drawHead();
});
