(() => {
  // Each picture brings this script; it starts those that nobody has started yet.
  for (const root of document.querySelectorAll(".course-picture.heads:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "";
    const { queries, keys, names, numbers } = JSON.parse(root.dataset.picture);
    const find = (what) => root.querySelector(what);
    const text = (hundredths) => (hundredths / 100).toFixed(2);
    const panels = [...root.querySelectorAll(".panel")].map((panel) => [...panel.querySelectorAll(".bar")]);

    function pick(query) {
      buttons.forEach((button, index) => {
        button.setAttribute("aria-pressed", index === query);
        button.tabIndex = index === query ? 0 : -1;
      });
      const most = panels.map((bars, head) => {
        const row = numbers[head].slice(query * keys.length, (query + 1) * keys.length);
        bars.forEach((bar, key) => {
          bar.querySelector(".fill").style.width = `${row[key]}%`;
          bar.lastChild.textContent = text(row[key]);
        });
        const largest = Math.max(...row);
        return `${names[head]} ${largest ? `'${keys[row.indexOf(largest)]}' ${text(largest)}` : "nothing"}`;
      });
      find(".sentence").textContent = `'${queries[query]}' asks. Most attended to: ${most.join(", ")}.`;
    }

    const group = document.createElement("div");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "The token that asks; the arrow keys move");
    const label = group.appendChild(document.createElement("span"));
    label.textContent = "Asks";
    const buttons = queries.map((query, index) => {
      const button = group.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = query;
      button.addEventListener("click", () => pick(index));
      return button;
    });
    group.addEventListener("keydown", (event) => {
      const now = buttons.indexOf(event.target);
      const last = buttons.length - 1;
      const to = { ArrowLeft: now - 1, ArrowUp: now - 1, ArrowRight: now + 1, ArrowDown: now + 1, Home: 0, End: last }[event.key];
      if (now < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      // Neither the page nor the notebook around it is to move as well.
      event.preventDefault();
      event.stopPropagation();
      const next = Math.max(0, Math.min(last, to));
      pick(next);
      buttons[next].focus();
    });
    find(".choices").replaceChildren(group);
    find(".how").append(" Press a token above, or go there with Tab and then the arrow keys.");
    pick(0);
  }
})();
