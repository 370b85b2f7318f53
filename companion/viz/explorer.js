(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".explorer:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const { queries, keys, layers } = JSON.parse(root.dataset.picture);
    const find = (what) => root.querySelector(what);
    const svg = find("svg");
    const rows = [...root.querySelectorAll(".asker")];
    const shown = { layer: 0, head: 0, query: 0 };
    const text = (hundredths) => (hundredths / 100).toFixed(2);
    const weights = () => layers[shown.layer][1][shown.head];
    const asks = (query) => weights().slice(query * keys.length, (query + 1) * keys.length);

    function make(tag, className, parent) {
      const element = document.createElement(tag);
      element.className = className;
      return parent.appendChild(element);
    }

    // Buttons for the layers and heads, where there is a choice.
    function choose(label, names, picked, pick) {
      if (names.length < 2) return;
      const group = make("div", "", find(".choices"));
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", label);
      make("span", "", group).textContent = label;
      names.forEach((name, index) => {
        const button = make("button", "", group);
        button.type = "button";
        button.textContent = name;
        button.setAttribute("aria-label", `${label} ${name}`);
        button.setAttribute("aria-pressed", index === picked);
        button.addEventListener("click", () => {
          pick(index);
          drawChoices();
          find(`[aria-label="${label}"]`).querySelectorAll("button")[index].focus();
          drawHead();
        });
      });
    }

    function drawChoices() {
      find(".choices").replaceChildren();
      choose("Layer", layers.map(([name]) => name), shown.layer, (index) => {
        shown.layer = index;
        shown.head = Math.min(shown.head, layers[index][1].length - 1);
      });
      choose("Head", layers[shown.layer][1].map((_, index) => index + 1), shown.head, (index) => (shown.head = index));
    }

    function drawHead() {
      const [name, heads] = layers[shown.layer];
      const where = heads.length > 1 ? `${name}, head ${shown.head + 1} of ${heads.length}` : name;
      root.querySelectorAll(".cells rect").forEach((cell, index) => cell.setAttribute("fill-opacity", weights()[index] / 100));
      root.querySelectorAll("tbody td").forEach((cell, index) => (cell.textContent = text(weights()[index])));
      find("summary").textContent = `The numbers of ${where}`;
      find("caption").textContent = `${where}: rows ask, columns are attended to`;
      drawQuery();
    }

    function drawQuery() {
      const numbers = asks(shown.query);
      rows.forEach((row, index) => {
        row.setAttribute("aria-selected", index === shown.query);
        row.setAttribute("tabindex", index === shown.query ? 0 : -1);
      });
      bars.forEach(({ fill, number }, key) => {
        fill.style.width = `${numbers[key]}%`;
        number.textContent = text(numbers[key]);
      });
      const most = numbers.map((number, key) => [number, key]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
      const named = most.filter(([number], rank) => number >= 10 || (rank === 0 && number > 0)).slice(0, 3);
      const list = named.map(([number, key]) => `'${keys[key]}' ${text(number)}`).join(", ");
      find(".sentence").textContent = `'${queries[shown.query]}' attends ${list ? `most to ${list}` : "to nothing"}.`;
    }

    function pick(query) {
      shown.query = Math.max(0, Math.min(queries.length - 1, query));
      drawQuery();
    }

    const longest = Math.min(16, Math.max(...keys.map((key) => key.length)));
    find(".bars").style.setProperty("--names", `${longest * 8}px`);
    const bars = keys.map((key) => {
      const bar = make("div", "bar", find(".bars"));
      make("span", "", bar).textContent = key;
      const fill = make("div", "fill", make("div", "track", bar));
      return { fill, number: make("span", "", bar) };
    });

    svg.setAttribute("role", "listbox");
    svg.setAttribute("aria-label", "The token that asks; the arrow keys move");
    rows.forEach((row, index) => {
      row.setAttribute("role", "option");
      row.setAttribute("aria-label", queries[index]);
      row.addEventListener("pointerover", () => pick(index));
      row.addEventListener("click", () => pick(index));
      row.addEventListener("focus", () => pick(index));
    });
    svg.addEventListener("keydown", (event) => {
      const { query } = shown;
      const to = { ArrowUp: query - 1, ArrowLeft: query - 1, ArrowDown: query + 1, ArrowRight: query + 1, Home: 0, End: queries.length - 1 }[event.key];
      if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      // Neither the page nor the notebook around it is to move as well.
      event.preventDefault();
      event.stopPropagation();
      pick(to);
      rows[shown.query].focus();
    });
    find(".how").append(" Point at a row, or press Tab and then the arrow keys.");
    drawChoices();
    drawHead();
  }
})();
