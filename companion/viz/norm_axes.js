start("norm_axes", ({ shape, real, x, choices }, find, all) => {
  const [, length, features] = shape;
  const table = find(".batch table");
  const rows = all(".batch tbody tr").map((row) => [...row.querySelectorAll("td")]).filter((row) => row.length);
  const cells = rows.flat();
  const NORMS = ["none", "layer norm", "RMS norm", "batch norm", "batch norm without padding"];
  const state = { norm: 1, inference: 0, after: 0, cell: 0 };

  const isBatch = () => NORMS[state.norm].startsWith("batch");
  // At inference both batch norms are the same: running averages, whatever the batch.
  const name = () => (!isBatch() ? NORMS[state.norm] : state.inference ? "batch norm, inference" : `${NORMS[state.norm]}, training`);

  const offer = (part, label, names) =>
    choose(find(".choices"), label, names, (index) => change(part, index), (text) => `${label}: ${text}`);
  const buttons = {
    norm: offer("norm", "Norm", NORMS),
    inference: offer("inference", "Mode", ["training", "inference"]),
    after: offer("after", "Numbers", ["before the norm", "after the norm"]),
  };

  const place = (cell) => {
    const token = Math.floor(cell / features);
    return `item ${Math.floor(token / length)}, position ${token % length}, feature ${cell % features}`;
  };

  function sentence(choice, count) {
    const { cell } = state;
    const filling = real[Math.floor(cell / features)] ? "" : " (padding)";
    const said = [`At ${place(cell)}${filling} stands ${digits(x[cell])}.`];
    if (!choice.spread) return [...said, "Nothing is normalised."].join(" ");
    if (!choice.group) said.push("No number of this batch counts: mean and variance are running averages.");
    else if (isBatch()) {
      const left = NORMS[state.norm].endsWith("padding") ? "padding left out" : "padding included";
      said.push(`${count} numbers share its statistics: this feature in all tokens of all items, ${left}.`);
      if (!choice.counted[cell]) said.push("It is normalised by them, but does not count in them.");
    } else said.push(`${count} numbers share its statistics: the features of this token, and no others.`);
    said.push(choice.mean
      ? `Mean ${digits(choice.mean[cell])}, variance ${digits(choice.spread[cell])}.`
      : `Mean of the squares ${digits(choice.spread[cell])}; no mean is subtracted.`);
    said.push(`Normalised: ${digits(choice.out[cell])}.`);
    if (!isBatch()) said.push("It is the same in training and inference.");
    return said.join(" ");
  }

  function change(part, value) {
    state[part] = value;
    draw();
  }

  function draw() {
    for (const part of Object.keys(buttons)) mark(buttons[part], state[part], "aria-pressed");
    const choice = choices.find((choice) => choice.name === name());
    const shares = cells.map((_, index) =>
      Boolean(choice.group && choice.group[index] === choice.group[state.cell] && choice.counted[index]));
    cells.forEach((cell, index) => {
      cell.classList.toggle("shares", shares[index]);
      cell.classList.toggle("picked", index === state.cell);
      cell.setAttribute("aria-selected", shares[index]);
    });
    reach(cells, state.cell);
    writeAll(cells, (state.after ? choice.out : x).map(digits));
    table.caption.textContent = state.after && choice.spread ? `The batch after ${choice.name}` : "The batch before the norm";
    find(".sentence").textContent = sentence(choice, shares.filter(Boolean).length);
  }

  // The table's cells are to be reached, not its scrolling box.
  table.parentElement.removeAttribute("tabindex");
  setAll(table, {
    role: "grid",
    "aria-label": "The batch: arrow keys move; the numbers that share statistics are selected",
    "aria-multiselectable": true,
  });
  cells.forEach((cell, index) => {
    cell.setAttribute("role", "gridcell");
    cell.addEventListener("click", () => {
      change("cell", index);
      cell.focus();
    });
  });
  rove(table, rows, (row, column) => change("cell", row * features + column));
  find(".how").append(" Tap a number, or press Tab to reach the table and then the arrow keys.");
  draw();
});
