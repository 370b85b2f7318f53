// What scrolls sideways can be reached by keyboard while it does: tables and formulas that are wider than the page.
const scrolls = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    const box = target.matches(".math") ? target.querySelector("mjx-container") : target;
    if (!box) continue; // a formula that is not set yet
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll(".bd-article :is(table:not(.course-picture table), div.math)")) scrolls.observe(box);
