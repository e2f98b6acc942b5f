// Builds the page into the folder OUT (default: dist), from this folder and the API's description:
// types from openapi.yaml, a check of all types (a missing text is an error), one script and one style
// sheet whose names contain a hash of their content, the font, and everything again compressed.
//
//   node build.mjs [--out FOLDER] [--api openapi.yaml]
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "dist" },
    api: { type: "string", default: "../../docs/api/openapi.yaml" },
  },
});
const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const tool = (name, file) => path.join(path.dirname(require.resolve(`${name}/package.json`)), file);
const run = (script, args) => execFileSync(process.execPath, [script, ...args], { cwd: here, stdio: ["ignore", "ignore", "inherit"] });
const hashed = (name, bytes) => {
  const { name: stem, ext } = path.parse(name);
  return `${stem}-${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}${ext}`;
};

mkdirSync(path.join(here, "generated"), { recursive: true });
run(tool("openapi-typescript", "bin/cli.js"), [path.resolve(values.api), "-o", "generated/api.ts"]);
try {
  execFileSync(process.execPath, [tool("typescript", "bin/tsc"), "--noEmit"], { cwd: here, stdio: "inherit" });
} catch {
  process.exit(1);
}

const out = path.resolve(values.out);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const files = new Map();

// Characters of Western European languages only: all that the page's own texts have. Others fall back to
// the system's font.
const font = readFileSync(require.resolve("@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"));
const fontName = hashed("inter.woff2", font);
files.set(fontName, font);

const built = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { main: "src/main.tsx" },
  outdir: out,
  write: false,
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  charset: "utf8",
  legalComments: "none",
  external: ["/novnc/*", "/page/*"],
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
  metafile: true,
});
let script = "", style = "";
for (const { path: file, contents } of built.outputFiles) {
  let name = path.basename(file), bytes = Buffer.from(contents);
  if (name.endsWith(".css")) {
    bytes = Buffer.from(bytes.toString("utf8").replaceAll("/page/inter.woff2", `/page/${fontName}`));
    name = style = hashed("main.css", bytes);
  } else if (name.startsWith("main-")) {
    script = name;
  }
  files.set(name, bytes);
}
const index = readFileSync(path.join(here, "src/index.html"), "utf8")
  .replace("SCRIPT", `/page/${script}`).replace("STYLE", `/page/${style}`).replace("FONT", `/page/${fontName}`);
files.set("index.html", Buffer.from(index));
const icon = readFileSync(path.join(here, "src/icon.svg"));
files.set("icon.svg", icon);

// What a browser needs before it shows anything: the page, the style, the font, the script and what that
// imports in any case.
const needed = new Set(["index.html", style, fontName]);
const need = (name) => {
  if (needed.has(name)) return;
  needed.add(name);
  const [, output] = Object.entries(built.metafile.outputs).find(([file]) => path.basename(file) === name);
  for (const each of output.imports) {
    if (each.kind === "import-statement" && !each.external) need(path.basename(each.path));
  }
};
need(script);
let first = 0;
for (const [name, bytes] of files) {
  writeFileSync(path.join(out, name), bytes);
  const packed = name.endsWith(".woff2") ? bytes : gzipSync(bytes, { level: 9 });
  if (packed !== bytes) writeFileSync(path.join(out, `${name}.gz`), packed);
  if (needed.has(name)) first += packed.length;
}
writeFileSync(path.join(here, "generated/first-view.txt"), `${first}\n`);
console.log(`${readdirSync(out).length} files in ${values.out}; the first view takes ${(first / 1024).toFixed(1)} KiB compressed`);
