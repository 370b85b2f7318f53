// What the scripts of all pictures share. It stands before each picture's own, inside one function with it.

// Start every picture of a kind that nobody has started yet, since each brings the script. `play` gets the picture's
// data, and what finds one element or all elements in it.
function start(kind, play) {
  for (const root of document.querySelectorAll(`.course-picture.${kind}:not([data-ready])`)) {
    root.dataset.ready = "";
    play(JSON.parse(root.dataset.picture), (what) => root.querySelector(what), (what) => [...root.querySelectorAll(what)]);
  }
}

// Keep an index inside a list.
const within = (list, index) => Math.max(0, Math.min(list.length - 1, index));
const digits = (hundredths) => (hundredths / 100).toFixed(2);

function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

// Write one text into each element.
function writeAll(elements, texts) {
  elements.forEach((element, index) => (element.textContent = texts[index]));
}

function drawBars(bars, hundredths) {
  bars.forEach((bar, index) => {
    bar.querySelector(".fill").style.setProperty("--number", hundredths[index]);
    bar.lastChild.textContent = digits(hundredths[index]);
  });
}

function make(tag, parent, text = "", attributes = {}) {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  setAll(element, attributes);
  return element;
}

function makeButton(parent, name, press, attributes = {}) {
  const button = make("button", parent, name, { type: "button", ...attributes });
  button.addEventListener("click", press);
  return button;
}

// Make a group of buttons with a name before it; `pick` gets the index of the one that is pressed.
function choose(parent, label, names, pick, spoken = (name) => `${label} ${name}`) {
  const group = make("div", parent, "", { role: "group", "aria-label": label });
  make("span", group, label);
  return names.map((name, index) => makeButton(group, name, () => pick(index), { "aria-label": spoken(name) }));
}

// Make such groups in place of those that stand there, where the choices change with what is picked. A group is given
// by its name, the names of its buttons, the index of the one that is picked, and what picks another; it is left out
// where it leaves no choice. `draw`, which calls this, then draws everything again, and the focus goes back.
function chooseAgain(parent, groups, draw) {
  parent.replaceChildren();
  for (const [label, names, picked, pick] of groups) {
    if (names.length < 2) continue;
    const buttons = choose(parent, label, names, (index) => {
      pick(index);
      draw();
      parent.querySelector(`[aria-label="${label}"]`).querySelectorAll("button")[index].focus();
    });
    mark(buttons, picked, "aria-pressed");
  }
}

// Make a button for each token, of which one is picked, in lines that begin with a name.
function chooseToken(parent, label, lines, pick) {
  const group = make("div", parent, "", { class: "lines", role: "group", "aria-label": `${label}; the arrow keys move` });
  const buttons = lines.flatMap(([name, tokens]) => {
    const line = make("div", group);
    make("span", line, name);
    return tokens.map((token) => makeButton(line, token, (event) => pick(buttons.indexOf(event.target))));
  });
  rove(group, [buttons], (_, index) => pick(index), ALONG);
  return buttons;
}

// A native slider: pointer, touch, arrow keys, Home and End all work. `move` gets its number; the output beside it is
// for what stands there.
function slide(parent, name, most, value, move) {
  const label = make("label", parent);
  make("span", label, name);
  const slider = make("input", label, "", { type: "range", min: 0, max: most, step: 1, value });
  slider.addEventListener("input", () => move(Number(slider.value)));
  slider.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook is not to move as well
  return [slider, make("output", label)];
}

// Say which one of the elements is picked.
function mark(elements, picked, attribute) {
  elements.forEach((element, index) => element.setAttribute(attribute, index === picked));
}

// Let Tab reach that one alone.
function reach(elements, picked) {
  elements.forEach((element, index) => element.setAttribute("tabindex", index === picked ? 0 : -1));
}

// How many rows and columns a key goes on: in a grid, and along a single row, where up and down are left and right.
const GRID = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity],
};
const ALONG = { ...GRID, ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Let keys go from the element that Tab reaches to another, whose row and column `go` gets; rows are lists of elements.
// Other keys may do something else.
function rove(box, rows, go, steps = GRID, others = {}) {
  const isReached = (element) => element.getAttribute("tabindex") === "0";
  box.addEventListener("keydown", (event) => {
    const [step, other] = [steps[event.key], others[event.key]];
    if ((!step && !other) || event.altKey || event.ctrlKey || event.metaKey) return;
    // Neither the page nor the notebook around it is to move as well.
    event.preventDefault();
    event.stopPropagation();
    if (other) return other();
    const from = rows.findIndex((row) => row.some(isReached));
    const row = within(rows, from + step[0]);
    const column = within(rows[row], rows[from].findIndex(isReached) + step[1]);
    go(row, column);
    rows[row][column].focus();
  });
}
