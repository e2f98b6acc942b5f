// The screen of one instant VM: /console/BOOT#ticket=TICKET&machine=NAME. The ticket is valid once;
// the name is for people.
import RFB from "/novnc/core/rfb.js";

const boot = decodeURIComponent(location.pathname.split("/").pop());
const given = new URLSearchParams(location.hash.slice(1));
const ticket = given.get("ticket") ?? "";
const machine = given.get("machine") ?? "";
const element = (id) => document.getElementById(id);
const buttons = ["keys", "type", "full"].map(element);

function tell(text, bad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", bad);
}

// A used ticket must not stay visible or get into a bookmark.
history.replaceState(null, "", location.pathname);
document.title = `${machine || boot} – Muletto`;
element("name").textContent = machine ? `${machine}, instant VM ${boot.slice(0, 8)}` : `Instant VM ${boot}`;

const scheme = location.protocol === "https:" ? "wss" : "ws";
const address = `${scheme}://${location.host}/api/v1/boots/${encodeURIComponent(boot)}/console/ws`;
const screen = new RFB(element("screen"), `${address}?ticket=${encodeURIComponent(ticket)}`, { shared: true });
screen.scaleViewport = true;
screen.focusOnClick = true;

let connected = false;
screen.addEventListener("connect", () => {
  connected = true;
  tell("Connected");
  buttons.forEach((button) => { button.disabled = false; });
  screen.focus();
});
screen.addEventListener("disconnect", (event) => {
  buttons.forEach((button) => { button.disabled = true; });
  const again = `'muletto boot console ${boot}' prints a new link.`;
  if (!connected) tell(`The console could not be opened: the VM does not run, or this link was used before or is too old. ${again}`, true);
  else if (event.detail.clean) tell(`The VM has ended, or its console was closed. ${again}`, true);
  else tell(`The connection was lost. ${again}`, true);
});

element("keys").addEventListener("click", () => { screen.sendCtrlAltDel(); screen.focus(); });
element("full").addEventListener("click", () => element("screen").requestFullscreen());

// For passwords at a login prompt: key by key, since a guest without tools has no clipboard. QEMU
// presses keys of a US keyboard, so Shift has to be held for shifted characters.
const shift = 0xffe1;
const needsShift = /[A-Z!"#$%&()*+:<>?@^_{|}~]/;
element("type").addEventListener("click", async () => {
  const text = (await navigator.clipboard.readText()).slice(0, 4096);
  for (const character of text) {
    const point = character.codePointAt(0);
    const symbol = character === "\n" ? 0xff0d : point < 0x100 ? point : 0x01000000 | point;
    const shifted = needsShift.test(character);
    if (shifted) screen.sendKey(shift, "ShiftLeft", true);
    screen.sendKey(symbol, null);
    if (shifted) screen.sendKey(shift, "ShiftLeft", false);
    await new Promise((resolve) => setTimeout(resolve, 30));  // a guest's keyboard has a small buffer
  }
  screen.focus();
});
