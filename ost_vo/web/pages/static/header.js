// Shows only the cards of a header that have a text in them.
const header = document.getElementById("header");
const cards = header.textContent.split("\n");
document.getElementById("find").addEventListener("input", (event) => {
  const text = event.target.value.toLowerCase();
  header.textContent = cards.filter((card) => card.toLowerCase().includes(text)).join("\n");
});
