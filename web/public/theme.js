// Runs before the first paint, so that a remembered theme never flashes in the other one first.
// A file of its own rather than inline, so that the page works under a strict content policy.
try {
  const theme = localStorage.getItem("kinora.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then the system's preference stands.
}
