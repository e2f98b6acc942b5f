// Light or dark: as the system says, unless the person chose.
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

function remembered(): Theme {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") return chosen;
  } catch {
    // Nothing is kept here.
  }
  return "system";
}

export const theme = signal<Theme>(remembered());
theme.subscribe((chosen) => {
  if (chosen === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", chosen);
  try {
    if (chosen === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", chosen);
  } catch {
    // It holds until the page is closed.
  }
});
