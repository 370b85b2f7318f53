start("mask_lab", ({ queries, keys, own, scores, padding, causal, longest }, find, all) => {
  const rows = all(".asker");
  const cells = rows.map((row) => [...row.querySelectorAll(".cell")]);
  const mask = { causal, padding, or: false, changed: new Set() };
  const at = { query: 0, key: 0 };
  const shorten = (token) => (token.length <= longest ? token : token.slice(0, longest - 1) + "…");

  const isPad = (key) => key >= keys.length - mask.padding;
  const keyName = (key) => (isPad(key) ? "<pad>" : keys[key]);
  const queryName = (query) => (own && isPad(query) ? "<pad>" : queries[query]);
  // The last query sees every key: the look-ahead mask is aligned at the bottom right.
  const both = (query, key) => [!isPad(key), !mask.causal || key <= query + keys.length - queries.length];
  const combined = (query, key) => {
    const [real, notAhead] = both(query, key);
    return mask.or ? real || notAhead : real && notAhead;
  };
  const may = (query, key) => combined(query, key) !== mask.changed.has(query * keys.length + key);

  // A softmax in which a forbidden score is -inf, so that e^score is 0; a row with nothing left gets zeros.
  function weights(query) {
    const permitted = scores[query].map((score, key) => (may(query, key) ? score / 100 : -Infinity));
    const largest = Math.max(...permitted);
    if (largest === -Infinity) return permitted.map(() => 0);
    const parts = permitted.map((score) => Math.exp(score - largest));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => Math.floor((100 * part) / sum + 0.501));
  }

  function set(part, value) {
    mask[part] = value;
    draw();
  }

  const place = find(".choices");
  const counts = [...Array(keys.length + 1).keys()];
  const ahead = choose(place, "Look-ahead", ["off", "on"], (on) => set("causal", on === 1), (name) => `look-ahead mask ${name}`);
  const pads = choose(place, "Padding", counts, (count) => set("padding", count), (count) => `${count} padding tokens`);
  const ways = choose(place, "Combine", ["AND", "OR"], (or) => set("or", or === 1), (name) => `combine by ${name}`);
  const undo = makeButton(make("div", place), "Undo single cells", () => set("changed", new Set()));

  const list = (names) => names.map((name) => `'${name}'`).join(", ");

  function draw() {
    mark(ahead, Number(mask.causal), "aria-pressed");
    mark(pads, mask.padding, "aria-pressed");
    mark(ways, Number(mask.or), "aria-pressed");
    undo.disabled = !mask.changed.size;
    const [rowNames, columnNames] = [queries.map((_, query) => queryName(query)), keys.map((_, key) => keyName(key))];
    const numbers = queries.map((_, query) => weights(query));
    let leaks = 0;
    cells.forEach((row, query) =>
      row.forEach((cell, key) => {
        const [number, open] = [digits(numbers[query][key]), may(query, key)];
        const leak = open && mask.or && both(query, key).includes(false);
        leaks += leak;
        setAll(cell, {
          class: `cell${open ? "" : " no"}${leak ? " leak" : ""}`,
          "aria-label": `'${rowNames[query]}' ${open ? "may" : "may not"} attend to '${columnNames[key]}'${open ? `, weight ${number}` : ""}`,
        });
        cell.querySelector("rect").setAttribute("fill-opacity", number);
        cell.querySelector("text").textContent = open ? number : "";
      }),
    );
    writeAll(all(".asker .name"), rowNames.map(shorten));
    writeAll(all(".names text"), columnNames.map(shorten));
    for (const table of [".weights", ".scores"]) {
      writeAll(all(`${table} thead th`), columnNames);
      writeAll(all(`${table} tbody th`), rowNames);
    }
    writeAll(all(".weights tbody td"), numbers.flat().map(digits));
    const empty = rowNames.filter((_, query) => !keys.some((_, key) => may(query, key)));
    const said = [];
    if (leaks) said.push(`OR opens ${leaks} ${leaks === 1 ? "cell that one mask forbids" : "cells that one of the masks forbids"}: dashed.`);
    if (empty.length) said.push(`Nothing is left for ${list(empty)}: weights and output are zeros.`);
    find(".state").textContent = said.join(" ");
    go(at.query, at.key);
  }

  function go(query, key) {
    Object.assign(at, { query, key });
    reach(cells.flat(), query * keys.length + key);
    rows.forEach((row, index) => row.classList.toggle("picked", index === query));
    const open = keys.map((_, index) => index).filter((index) => may(query, index));
    const filling = own && isPad(query) ? " It is filling itself: the loss leaves its output out." : "";
    find(".sentence").textContent =
      `'${queryName(query)}' (row ${query + 1}) may attend to ${list(open.map(keyName)) || "nothing"}.${filling}`;
  }

  function change() {
    const cell = at.query * keys.length + at.key;
    if (!mask.changed.delete(cell)) mask.changed.add(cell);
    draw();
  }

  setAll(find("svg"), { role: "grid", "aria-label": "Who may attend to whom: arrow keys move, Space changes a cell" });
  rows.forEach((row, query) => {
    row.setAttribute("role", "row");
    row.addEventListener("pointerover", () => go(query, at.key));
    row.querySelector(".name").addEventListener("click", () => go(query, at.key));
    cells[query].forEach((cell, key) => {
      cell.setAttribute("role", "gridcell");
      cell.addEventListener("focus", () => go(query, key));
      cell.addEventListener("click", () => {
        go(query, key);
        change();
      });
    });
  });
  rove(find("svg"), cells, go, GRID, { Enter: change, " ": change });
  find(".how").append(" Tap a cell to change it, or press Tab to reach the cells, then the arrow keys and Space.");
  draw();
});
