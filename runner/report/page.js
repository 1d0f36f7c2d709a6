for (const field of document.querySelectorAll("input[data-table]")) {
  field.closest("p").hidden = false;
  const rows = document.getElementById(field.dataset.table).tBodies[0].rows;
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) { row.hidden = !row.textContent.toLowerCase().includes(wanted); }
  });
}
