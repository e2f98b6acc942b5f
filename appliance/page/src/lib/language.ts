// The page's words. English is the measure: another language without one of its texts does not build.
import { signal } from "@preact/signals";
import { en } from "../texts/en";
import { de } from "../texts/de";
import { da } from "../texts/da";
import { nl } from "../texts/nl";
import { it } from "../texts/it";

export type Key = keyof typeof en;
export type Texts = Readonly<Record<Key, string>>;
export const languages = { en, de, da, nl, it } as const satisfies Record<string, Texts>;
export type Language = keyof typeof languages;
export const languageNames: Record<Language, string> = { en: "English", de: "Deutsch", da: "Dansk", nl: "Nederlands", it: "Italiano" };

const isLanguage = (word: string): word is Language => Object.hasOwn(languages, word);

function remembered(): Language {
  try {
    const chosen = localStorage.getItem("language") ?? "";
    if (isLanguage(chosen)) return chosen;
  } catch {
    // A browser that keeps nothing: then what it asks for.
  }
  for (const wanted of navigator.languages) {
    const word = wanted.slice(0, 2).toLowerCase();
    if (isLanguage(word)) return word;
  }
  return "en";
}

export const language = signal<Language>(remembered());
language.subscribe((word) => {
  document.documentElement.lang = word;
});

export function choose(word: Language) {
  language.value = word;
  try {
    localStorage.setItem("language", word);
  } catch {
    // It holds until the page is closed.
  }
}

type Values = Record<string, string | number>;

// {name} in a text is replaced. A text "one|other" is chosen by `count`.
export function t(key: Key, values: Values = {}): string {
  let text: string = languages[language.value][key];
  const count = values["count"];
  if (text.includes("|")) {
    const [one, other] = text.split("|") as [string, string];
    text = typeof count === "number" && new Intl.PluralRules(language.value).select(count) === "one" ? one : other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, word: string) => {
    const value = values[word];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

// The text for a word of the API, such as a job's kind; the word itself if a later version added it.
export function word(group: string, value: string): string {
  const key = `${group}.${value}`;
  return Object.hasOwn(en, key) ? t(key as Key) : value;
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);
}
