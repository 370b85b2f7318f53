start("architecture", ({ steps, tensors, sizes, rest, links }, find, all) => {
  const [features, headFeatures] = sizes;
  const MOST = 12; // terms of a sum that are spelled out
  const boxes = all(".box");
  const items = all("details li");
  const inBook = document.documentElement.hasAttribute("data-content_root");
  const shown = { step: 0, sheet: 0, head: 0, row: 0, column: 0 };
  const panel = find(".panel");

  // Numbers. Tensors are whole ten-thousandths; null is minus infinity.
  const signed = (text) => text.replace("-", "−");
  const write = (number) => signed(Math.abs(number) < 0.00005 ? "0.0000" : number.toFixed(4));
  const exact = (number) => signed(Math.abs(number) < 1 ? number.toPrecision(5) : number.toFixed(4));
  const factor = (number) => (number < 0 ? `(${write(number)})` : write(number));
  const sheet = () => steps[shown.step].sheets[shown.sheet];
  const at = (name, row, column, head = 0) => {
    const [shape, numbers] = tensors[name];
    const number = numbers[(head * shape.at(-2) + row) * shape.at(-1) + column];
    return number === null ? -Infinity : number / 10000;
  };
  const width = (name) => tensors[name][0].at(-1);
  const range = (count) => Array.from({ length: count }, (_, index) => index);

  // A sum, spelled out: pairs of a term's text and its value.
  function sum(terms) {
    const few = terms.length > MOST ? terms.slice(0, MOST - 4) : terms;
    const more = terms.slice(few.length);
    const text = few.map(([term]) => term).join(" + ");
    if (!more.length) return text;
    return `${text} + ${factor(more.reduce((total, [, value]) => total + value, 0))} [${more.length} more terms]`;
  }
  const products = (pairs) => sum(pairs.map(([a, b]) => [`${factor(a)} · ${factor(b)}`, a * b]));

  // How one number came about: lines of a formula in letters, the same in numbers, and what it gives.
  const HOW = {
    scale: (how, { row, column }) => [["e · √D", `${factor(at(how.x, row, column))} · √${features}`]],
    add: (how, { row, column }) => [[how.letters, `${write(at(how.a, row, column))} + ${factor(at(how.b, row, column))}`]],
    linear: (how, cell) => [[how.bias ? "Σ x · w + b" : "Σ x · w", dot(how, cell)]],
    relu: (how, cell) => [["max(0, Σ x · w + b)", `max(0, ${dot(how, cell)})`]],
    score: (how, { head, row, column }) => {
      const pairs = range(headFeatures).map((i) => [at(how.query, row, i, head), at(how.key, column, i, head)]);
      return [["(Σ q · k) / √E", `(${products(pairs)}) / √${headFeatures}`]];
    },
    softmax: (how, { head, row, column }) => {
      const scores = range(width(how.x)).map((i) => at(how.x, row, i, head));
      const exps = scores.map((score) => [`exp(${Number.isFinite(score) ? write(score) : "−∞"})`, Math.exp(score)]);
      const others = column === scores.length; // all tokens that are not shown
      const logits = how.x === "logits" && rest[row] > 0;
      const tail = logits ? ` + ${exact(rest[row])}` : "";
      return [
        [
          logits ? `exp(x) / Σ exp(x); ${exact(rest[row])} is the sum over the tokens that are not shown` : "exp(x) / Σ exp(x)",
          `${others ? exact(rest[row]) : exps[column][0]} / (${sum(exps)}${tail})`,
        ],
      ];
    },
    average: (how, { row, column }) => {
      const head = Math.floor(column / headFeatures);
      const pairs = range(width(how.weights)).map((key) => [
        at(how.weights, row, key, head),
        at(how.values, key, column % headFeatures, head),
      ]);
      return [[`Σ weight · value, in head ${head + 1}`, products(pairs)]];
    },
    norm: (how, { row, column }) => {
      const xs = range(features).map((i) => at(how.x, row, i));
      const mean = xs.reduce((total, x) => total + x, 0) / features;
      const variance = xs.reduce((total, x) => total + (x - mean) ** 2, 0) / features;
      const [m, v] = [mean < 0 ? `(${exact(mean)})` : exact(mean), exact(variance)];
      const centred = `(${factor(xs[column])} − ${m}) / √(${v} + 0.00001)`;
      return [
        ["mean = Σ x / D", `(${sum(xs.map((x) => [factor(x), x]))}) / ${features}`, exact(mean)],
        ["variance = Σ (x − mean)² / D", `(${sum(xs.map((x) => [`(${factor(x)} − ${m})²`, (x - mean) ** 2]))}) / ${features}`, v],
        ["(x − mean) / √(variance + ε) · γ + β", `${centred} · ${factor(tensors[how.weight][column] / 10000)} + ${factor(tensors[how.bias][column] / 10000)}`],
      ];
    },
  };

  function dot(how, { head, row, column, columns }) {
    const count = width(how.x);
    const output = head * columns + column;
    const weights = tensors[how.weight].slice(output * count, (output + 1) * count);
    const terms = products(weights.map((weight, i) => [at(how.x, row, i), weight / 10000]));
    return how.bias ? `${terms} + ${factor(tensors[how.bias][output] / 10000)}` : terms;
  }

  // The panel: moves, a sentence, where the code is, a choice of tables, one table, and one number's arithmetic.
  const moves = make("div", panel, "", { class: "moves" });
  const [back, forth] = [["Previous", -1], ["Next", 1]].map(([name, by]) =>
    makeButton(moves, name, () => pickStep(within(steps, shown.step + by)), { "aria-label": `${name} step` }));
  const sentence = make("p", panel, "", { class: "sentence", "aria-live": "polite" });
  const code = make("p", panel, "", { class: "code" });
  const choices = make("div", panel, "", { class: "choices" });
  const place = make("div", panel, "", { class: "scroll" });
  const arithmetic = make("div", panel, "", { class: "arithmetic", role: "group", "aria-label": "How this number is computed" });

  function pickStep(step) {
    Object.assign(shown, { step, sheet: steps[step].start, head: 0, row: 1, column: 0 });
    mark(boxes, step, "aria-pressed");
    reach(boxes, step);
    back.setAttribute("aria-disabled", step === 0);
    forth.setAttribute("aria-disabled", step === steps.length - 1);
    const item = items[step];
    sentence.replaceChildren();
    make("strong", sentence, `Step ${step + 1} of ${steps.length}: ${item.querySelector(".name").textContent}.`);
    sentence.append(` ${item.querySelector(".says").textContent}`);
    code.replaceChildren(...item.querySelector(".code").cloneNode(true).childNodes);
    // Only beside the book's own pages is there a page to go to; a notebook names the code.
    if (inBook && links)
      for (const name of code.querySelectorAll("code")) {
        const link = make("a", code);
        link.href = `${links}#${name.dataset.name}`;
        name.replaceWith(link);
        link.append(name);
      }
    drawTable();
  }

  function drawTable() {
    const { sheets } = steps[shown.step];
    shown.head = Math.min(shown.head, sheet().heads - 1);
    const groups = [
      ["Table", sheets.map(({ name }) => name), shown.sheet, (index) => (shown.sheet = index)],
      ["Head", range(sheet().heads).map((head) => head + 1), shown.head, (index) => (shown.head = index)],
    ];
    chooseAgain(choices, groups, drawTable);
    const before = sheets.slice(0, shown.sheet).reduce((count, { heads }) => count + heads, 0);
    const table = items[shown.step].querySelectorAll("table")[before + shown.head].cloneNode(true);
    table.setAttribute("role", "grid");
    place.replaceChildren(table);
    const cells = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    shown.row = Math.min(shown.row, cells.length - 1);
    shown.column = Math.min(shown.column, cells[0].length - 1);
    const numbers = cells.map((row) => row.map((cell) => Math.abs(Number(cell.textContent.replace("−", "-")))));
    const largest = Math.max(...numbers.flat().filter(Number.isFinite), 0.01);
    cells.forEach((row, y) =>
      row.forEach((cell, x) => {
        cell.setAttribute("role", "gridcell");
        const size = sheet().kind === "id" || !Number.isFinite(numbers[y][x]) ? 0 : numbers[y][x] / largest;
        cell.style.setProperty("--size", size.toFixed(2));
        cell.addEventListener("click", () => {
          pickCell(cells, y, x);
          cell.focus();
        });
        cell.addEventListener("focus", () => pickCell(cells, y, x));
      }),
    );
    rove(table, cells, (row, column) => pickCell(cells, row, column), GRID, { Escape: () => boxes[shown.step].focus() });
    pickCell(cells, shown.row, shown.column);
  }

  function pickCell(cells, row, column) {
    Object.assign(shown, { row, column });
    const picked = row * cells[0].length + column;
    reach(cells.flat(), picked);
    mark(cells.flat(), picked, "aria-selected");
    drawArithmetic(cells[row][column]);
  }

  function drawArithmetic(cell) {
    const how = sheet();
    const table = cell.closest("table");
    const row = table.tBodies[0].rows[shown.row].cells[0].textContent;
    const column = table.tHead.rows[0].cells[shown.column + 1].textContent;
    const where = how.kind === "id" ? "id" : /^\d+$/.test(column) ? `feature ${column}` : `'${column}'`;
    arithmetic.replaceChildren();
    make("p", arithmetic, `${how.name}, '${row}', ${where}: ${cell.textContent}`, { class: "picked" });
    if (how.kind === "id") {
      make("p", arithmetic, "No arithmetic: the id is a place in the vocabulary.");
      return;
    }
    if (how.kind === "score" && cell.textContent === "−∞") {
      const later = how.tensor.startsWith("dec.self") && shown.column > shown.row;
      make("p", arithmetic, later ? `Masked: '${column}' comes after '${row}'.` : `Masked: '${column}' is padding.`);
      return;
    }
    const lines = HOW[how.kind](how, { ...shown, columns: how.columns });
    lines.forEach(([letters, expression, result], index) => {
      make("p", arithmetic, letters, { class: "letters" });
      const line = make("p", arithmetic, "", { class: "line" });
      make("span", line, expression, { class: "expression" });
      line.append(" = ");
      const stored = shown.column < width(how.tensor) ? write(at(how.tensor, shown.row, shown.column, shown.head)) : cell.textContent;
      make("strong", line, index === lines.length - 1 ? stored : result, { class: "result" });
    });
  }

  // The drawing: its boxes are buttons, one of them in the order of Tab.
  find("svg").setAttribute("role", "group");
  boxes.forEach((box, index) => {
    setAll(box, { role: "button", "aria-label": `Step ${index + 1}: ${items[index].querySelector(".name").textContent}` });
    box.addEventListener("click", () => pickStep(index));
    box.addEventListener("focus", () => index !== shown.step && pickStep(index));
  });
  const deeper = () => place.querySelector("td[tabindex='0']").focus();
  rove(find("svg"), [boxes], (_, step) => pickStep(step), ALONG, { Enter: deeper, " ": deeper });
  find(".how").append(
    " Pick a box, then a number of its table, and see how it is computed. With the keyboard: arrow keys move, Enter goes to the numbers, Escape back. The numbers spelled out are rounded, so the last digits may differ.",
  );
  pickStep(0);
});
