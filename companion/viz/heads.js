start("heads", ({ queries, keys, names, numbers }, find, all) => {
  const bars = all(".bar");

  function pick(query) {
    reach(buttons, query);
    mark(buttons, query, "aria-pressed");
    const rows = numbers.map((head) => head.slice(query * keys.length, (query + 1) * keys.length));
    drawBars(bars, rows.flat());
    const most = rows.map((row, head) => {
      const largest = Math.max(...row);
      return `${names[head]} ${largest ? `'${keys[row.indexOf(largest)]}' ${digits(largest)}` : "nothing"}`;
    });
    find(".sentence").textContent = `'${queries[query]}' asks. Most attended to: ${most.join(", ")}.`;
  }

  const buttons = chooseToken(find(".choices"), "The token that asks", [["Asks", queries]], pick);
  find(".how").append(" Press a token above, or go there with Tab and then the arrow keys.");
  pick(0);
});
