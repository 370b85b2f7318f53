(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".norm_axes:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const { shape, real, x, choices } = JSON.parse(root.dataset.picture);
    const [, length, features] = shape;
    const find = (what) => root.querySelector(what);
    const table = find(".batch table");
    const cells = [...table.querySelectorAll("tbody td")];
    const NORMS = ["none", "layer norm", "RMS norm", "batch norm", "batch norm without padding"];
    const state = { norm: "layer norm", training: true, after: false, cell: 0 };

    const digits = (number) => (number / 100).toFixed(2);
    const isBatch = () => state.norm.startsWith("batch");
    // At inference both batch norms are the same: running averages, whatever the batch.
    const name = () => (!isBatch() ? state.norm : state.training ? `${state.norm}, training` : "batch norm, inference");
    const current = () => choices.find((choice) => choice.name === name());

    function make(tag, parent, text) {
      const element = document.createElement(tag);
      element.textContent = text;
      return parent.appendChild(element);
    }

    function choose(label, options) {
      const group = make("div", find(".choices"), "");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", label);
      make("span", group, label);
      return options.map(([text, isOn, pick]) => {
        const button = make("button", group, text);
        button.type = "button";
        button.setAttribute("aria-label", `${label}: ${text}`);
        button.addEventListener("click", () => {
          pick();
          draw();
        });
        return () => button.setAttribute("aria-pressed", isOn());
      });
    }

    const pressed = [
      ...choose("Norm", NORMS.map((norm) => [norm, () => state.norm === norm, () => (state.norm = norm)])),
      ...choose("Mode", [true, false].map((training) => [
        training ? "training" : "inference", () => state.training === training, () => (state.training = training),
      ])),
      ...choose("Numbers", [false, true].map((after) => [
        after ? "after the norm" : "before the norm", () => state.after === after, () => (state.after = after),
      ])),
    ];

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
        const left = state.norm.endsWith("padding") ? "padding left out" : "padding included";
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

    function draw() {
      pressed.forEach((show) => show());
      const choice = current();
      let count = 0;
      cells.forEach((cell, index) => {
        const shares = choice.group && choice.group[index] === choice.group[state.cell] && choice.counted[index];
        count += shares ? 1 : 0;
        cell.classList.toggle("shares", Boolean(shares));
        cell.classList.toggle("picked", index === state.cell);
        cell.setAttribute("tabindex", index === state.cell ? 0 : -1);
        cell.setAttribute("aria-selected", Boolean(shares));
        cell.textContent = digits((state.after ? choice.out : x)[index]);
      });
      table.caption.textContent = state.after && choice.spread ? `The batch after ${choice.name}` : "The batch before the norm";
      find(".sentence").textContent = sentence(choice, count);
    }

    function pick(cell) {
      if (cell < 0 || cell >= cells.length) return;
      state.cell = cell;
      draw();
    }

    // The table's cells are to be reached, not its scrolling box.
    table.parentElement.removeAttribute("tabindex");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", "The batch: arrow keys move; the numbers that share statistics are selected");
    table.setAttribute("aria-multiselectable", "true");
    cells.forEach((cell, index) => {
      cell.setAttribute("role", "gridcell");
      cell.addEventListener("click", () => {
        pick(index);
        cell.focus();
      });
    });
    table.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const { cell } = state;
      const first = cell - (cell % features);
      const last = first + features - 1;
      const to = {
        ArrowUp: cell - features, ArrowDown: cell + features,
        ArrowLeft: Math.max(first, cell - 1), ArrowRight: Math.min(last, cell + 1), Home: first, End: last,
      }[event.key];
      if (to === undefined) return;
      // Neither the page nor the notebook around it is to move as well.
      event.preventDefault();
      event.stopPropagation();
      pick(to);
      cells[state.cell].focus();
    });
    find(".how").append(" Tap a number, or press Tab to reach the table and then the arrow keys.");
    draw();
  }
})();
