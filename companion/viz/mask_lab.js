(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".mask_lab:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const data = JSON.parse(root.dataset.picture);
    const { queries, keys, own, scores } = data;
    const find = (what) => root.querySelector(what);
    const svg = find("svg");
    const rows = [...root.querySelectorAll(".asker")];
    const cells = rows.map((row) => [...row.querySelectorAll(".cell")]);
    const mask = { causal: data.causal, padding: data.padding, or: false, changed: new Set() };
    const at = { query: 0, key: 0 };
    const short = (token) => (token.length <= 14 ? token : token.slice(0, 13) + "…");

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

    function make(tag, parent, text) {
      const element = document.createElement(tag);
      element.textContent = text;
      return parent.appendChild(element);
    }

    function choose(label, choices) {
      const group = make("div", find(".choices"), "");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", label);
      make("span", group, label);
      return choices.map(([name, spoken, isOn, pick]) => {
        const button = make("button", group, name);
        button.type = "button";
        button.setAttribute("aria-label", spoken);
        button.addEventListener("click", () => {
          pick();
          draw();
        });
        return () => button.setAttribute("aria-pressed", isOn());
      });
    }

    const pressed = [
      ...choose("Look-ahead", [
        ["off", "look-ahead mask off", () => !mask.causal, () => (mask.causal = false)],
        ["on", "look-ahead mask on", () => mask.causal, () => (mask.causal = true)],
      ]),
      ...choose("Padding", [...Array(keys.length + 1).keys()].map((count) => [
        `${count}`, `${count} padding tokens`, () => mask.padding === count, () => (mask.padding = count),
      ])),
      ...choose("Combine", [
        ["AND", "combine by AND", () => !mask.or, () => (mask.or = false)],
        ["OR", "combine by OR", () => mask.or, () => (mask.or = true)],
      ]),
    ];
    const undo = make("button", make("div", find(".choices"), ""), "Undo single cells");
    undo.type = "button";
    undo.addEventListener("click", () => {
      mask.changed.clear();
      draw();
    });

    const list = (names) => names.map((name) => `'${name}'`).join(", ");

    function draw() {
      pressed.forEach((show) => show());
      undo.disabled = !mask.changed.size;
      const empty = [];
      let leaks = 0;
      const numbers = queries.map((_, query) => weights(query));
      numbers.forEach((row, query) => {
        if (!keys.some((_, key) => may(query, key))) empty.push(queryName(query));
        row.forEach((number, key) => {
          const [cell, open] = [cells[query][key], may(query, key)];
          const leak = open && mask.or && both(query, key).includes(false);
          leaks += leak;
          cell.setAttribute("class", `cell${open ? "" : " no"}${leak ? " leak" : ""}`);
          cell.querySelector("rect").setAttribute("fill-opacity", number / 200);
          cell.querySelector("text").textContent = open ? (number / 100).toFixed(2) : "";
          cell.setAttribute("aria-label",
            `'${queryName(query)}' ${open ? "may" : "may not"} attend to '${keyName(key)}'${open ? `, weight ${(number / 100).toFixed(2)}` : ""}`);
        });
        rows[query].querySelector(".name").textContent = short(queryName(query));
      });
      root.querySelectorAll(".names text").forEach((name, key) => (name.textContent = short(keyName(key))));
      for (const table of root.querySelectorAll("table")) {
        table.querySelectorAll("thead th").forEach((name, key) => (name.textContent = keyName(key)));
        table.querySelectorAll("tbody th").forEach((name, query) => (name.textContent = queryName(query)));
      }
      root.querySelectorAll(".weights tbody td").forEach((cell, index) => {
        cell.textContent = (numbers.flat()[index] / 100).toFixed(2);
      });
      const said = [];
      if (leaks) said.push(`OR opens ${leaks} ${leaks === 1 ? "cell that one mask forbids" : "cells that one of the masks forbids"}: dashed.`);
      if (empty.length) said.push(`Nothing is left for ${list(empty)}: weights and output are zeros.`);
      find(".state").textContent = said.join(" ");
      drawQuery();
    }

    function drawQuery() {
      const { query } = at;
      cells.flat().forEach((cell) => cell.setAttribute("tabindex", -1));
      cells[query][at.key].setAttribute("tabindex", 0);
      rows.forEach((row, index) => row.classList.toggle("picked", index === query));
      const open = keys.map((_, key) => key).filter((key) => may(query, key));
      const filling = own && isPad(query) ? " It is filling itself: the loss leaves its output out." : "";
      find(".sentence").textContent =
        `'${queryName(query)}' (row ${query + 1}) may attend to ${list(open.map(keyName)) || "nothing"}.${filling}`;
    }

    function go(query, key) {
      at.query = Math.max(0, Math.min(queries.length - 1, query));
      at.key = Math.max(0, Math.min(keys.length - 1, key));
      drawQuery();
    }

    function change() {
      const cell = at.query * keys.length + at.key;
      if (!mask.changed.delete(cell)) mask.changed.add(cell);
      draw();
    }

    svg.setAttribute("role", "grid");
    svg.setAttribute("aria-label", "Who may attend to whom: arrow keys move, Space changes a cell");
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
    svg.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const { query, key } = at;
      const to = {
        ArrowUp: [query - 1, key], ArrowDown: [query + 1, key], ArrowLeft: [query, key - 1], ArrowRight: [query, key + 1],
        Home: [query, 0], End: [query, keys.length - 1],
      }[event.key];
      if (!to && event.key !== " " && event.key !== "Enter") return;
      // Neither the page nor the notebook around it is to move as well.
      event.preventDefault();
      event.stopPropagation();
      if (!to) return change();
      go(...to);
      cells[at.query][at.key].focus();
    });
    find(".how").append(" Tap a cell to change it, or press Tab to reach the cells, then the arrow keys and Space.");
    draw();
  }
})();
