// Instant VMs: what runs here now, its screen, and the ways on.
import { useEffect, useRef, useState } from "preact/hooks";
import { post, put, request, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { duration, size } from "../lib/format";
import { type Key, t, word } from "../lib/language";
import { link, place } from "../lib/place";
import { tenant } from "../lib/tenant";
import { Action, Card, CopyCommand, Empty, Facts, Head, Pill, Problems, say, Shown, Time, type Tone } from "../parts/basics";
import { Console } from "../parts/console";
import { Confirm } from "../parts/dialog";
import { machineLink } from "../parts/machine-bits";
import { Picture } from "../parts/picture";
import { jobStarted } from "../parts/point-actions";

type Boot = Schemas["Boot"];
export const stateTone: Record<string, Tone> = { starting: "busy", running: "good", paused: "warn", ended: "quiet", kept: "quiet" };
const written = (vm: Boot) => vm.disks.reduce((sum, disk) => sum + disk.overlay_size, 0);

export function Vms() {
  const asked = useAnswer("/api/v1/boots", { query: { tenant: tenant.value } }, { on: ["boot-begun", "boot-ended"], everyMs: 15_000 });
  return (
    <>
      <Head title={t("nav.vms")} note={t("vms.note")}>
        <a class="button" href="#/screens">{t("vms.screens")}</a>
      </Head>
      <Shown asked={asked} what="wait.vms">
        {(data) => {
          const list = data.boots.filter((vm) => vm.purpose === "instant");
          return (
            <>
              <Problems list={data.problems} />
              {list.length === 0 ? <Card><Empty title={t("vms.none")}>{t("vms.none.text")} <a href="#/disaster">{t("disaster.button")}</a></Empty></Card> : (
                <ul class="plain screens">{list.map((vm) => <VmCard key={vm.id} vm={vm} />)}</ul>
              )}
            </>
          );
        }}
      </Shown>
    </>
  );
}

function VmCard({ vm }: { vm: Boot }) {
  return (
    <li class="screen-card">
      <a href={link(["vms", vm.id])} aria-label={vm.machine}>
        {vm.state === "running" && may("vm-console") ? <Picture target={`/api/v1/boots/${vm.id}/screenshot`} alt={t("picture.alt", { machine: vm.machine })} everyMs={8000} /> : <span class="no-picture" aria-hidden="true" />}
      </a>
      <div class="screen-text">
        <p><strong><a href={link(["vms", vm.id])}>{vm.machine}</a></strong> <Pill tone={stateTone[vm.state] ?? "quiet"}>{word("vm", vm.state)}</Pill></p>
        <p class="muted small-text">{t("vm.since")} <Time value={vm.started} /> · {t("vm.written", { size: size(written(vm)) })}</p>
        {vm.problem && <p class="strong-bad small-text" lang="en">{vm.problem}</p>}
      </div>
    </li>
  );
}

// Several consoles side by side.
export function Screens() {
  const asked = useAnswer("/api/v1/boots", {}, { on: ["boot-begun", "boot-ended"] });
  const ids = place.value.query.get("ids")?.split(",");
  return (
    <>
      <Head title={t("vms.screens")} back={{ href: "#/vms", text: t("nav.vms") }} note={t("vms.screens.note")} />
      <Shown asked={asked} what="wait.vms">
        {(data) => {
          const list = data.boots.filter((vm) => vm.state === "running" && vm.purpose === "instant" && (!ids || ids.includes(vm.id)));
          if (list.length === 0) return <Card><Empty title={t("vms.none")}>{t("vms.none.text")}</Empty></Card>;
          return (
            <div class="consoles">
              {list.slice(0, 6).map((vm) => (
                <section key={vm.id} class="card tight" aria-label={vm.machine}>
                  <h2><a href={link(["vms", vm.id])}>{vm.machine}</a></h2>
                  <Console id={vm.id} machine={vm.machine} tools={false} />
                </section>
              ))}
            </div>
          );
        }}
      </Shown>
    </>
  );
}

export function Vm({ id }: { id: string }) {
  const asked = useAnswer("/api/v1/boots/{boot}", { path: { boot: id } }, { on: ["boot-begun", "boot-ended", "job-ended"], everyMs: 5000 });
  return <Shown asked={asked} what="wait.vm">{({ boot }) => <Sheet vm={boot} reload={asked.reload} />}</Shown>;
}

const powers: { action: "shutdown" | "reset" | "pause" | "resume" | "power-off" | "power-on"; text: Key; in: string[] }[] = [
  { action: "power-on", text: "power.on", in: ["ended", "kept"] },
  { action: "shutdown", text: "power.shutdown", in: ["running"] },
  { action: "pause", text: "power.pause", in: ["running"] },
  { action: "resume", text: "power.resume", in: ["paused"] },
  { action: "reset", text: "power.reset", in: ["running", "paused"] },
  { action: "power-off", text: "power.off", in: ["running", "paused"] },
];

function Sheet({ vm, reload }: { vm: Schemas["BootDetails"]; reload: () => void }) {
  const [asking, setAsking] = useState<"keep" | "discard" | undefined>();
  const words = { path: { boot: vm.id } };
  const live = vm.state === "running" || vm.state === "paused";
  return (
    <>
      <Head title={vm.machine} back={{ href: "#/vms", text: t("nav.vms") }}
        note={<><Pill tone={stateTone[vm.state] ?? "quiet"}>{word("vm", vm.state)}</Pill> {t("vm.since")} <Time value={vm.started} /> · {t("vm.ready", { time: duration(vm.start_duration_ms) })}{vm.addresses.length > 0 && <> · {vm.addresses.join(", ")}</>}</>}>
        {may("vm-power") && powers.filter((each) => each.in.includes(vm.state)).map((each) => (
          <Action key={each.action} run={async () => { await post("/api/v1/boots/{boot}/power", words, { action: each.action }); reload(); }}>{t(each.text)}</Action>
        ))}
      </Head>
      {vm.problem && <div class="trouble" role="alert"><p lang="en">{vm.problem}</p></div>}
      {vm.state === "running" && may("vm-console") && <Console id={vm.id} machine={vm.machine} />}
      {!live && <Card><Empty title={t("vm.off")}>{t("vm.off.text")}</Empty></Card>}
      <div class="columns">
        <Card title={t("vm.facts")}>
          <Facts rows={[
            [t("column.machine"), <a href={machineLink(vm.tenant, vm.machine)}>{vm.machine}</a>],
            [t("vm.point"), <a href={link(["points", vm.tenant, vm.point])}><code class="id">{vm.point.slice(0, 12)}</code></a>],
            [t("vm.wrote"), size(written(vm))],
            [t("machine.cpus"), String(vm.cpu_count)],
            [t("machine.memory"), size(vm.memory_size)],
            [t("vm.runs-by"), vm.accelerator.toUpperCase()],
            ...vm.network_cards.map((card, index) => [`${t("machine.network")} ${index + 1}`, `${card.mac} · ${card.network}`] as const),
            [t("vm.restart"), t(`vm.restart.${vm.restart}`)],
            [t("vm.timeline"), t(`vm.timeline.${vm.timeline}`)],
            vm.requested_by && [t("job.by"), vm.requested_by],
          ]} />
          {vm.notes.length > 0 && <details><summary>{t("boot.notes", { count: vm.notes.length })}</summary><ul lang="en">{vm.notes.map((each) => <li key={each}>{each}</li>)}</ul></details>}
          {may("vm-change") && (
            <div class="actions">
              <Action tone="quiet" run={async () => { await put("/api/v1/boots/{boot}/settings", words, { restart: vm.restart === "automatic" ? "wait" : "automatic" }); reload(); }}>{vm.restart === "automatic" ? t("vm.restart.make-wait") : t("vm.restart.make-automatic")}</Action>
            </div>
          )}
        </Card>
        <Card title={t("vm.ways")} note={t("vm.ways.note")}>
          <div class="ways">
            {may("vm-pull") && (
              <div>
                <h3>{t("vm.pull")}</h3>
                <p class="muted">{vm.local ? t("vm.pull.done") : vm.pulling ? t("vm.pull.now") : t("vm.pull.text")}</p>
                {!vm.local && !vm.pulling && live && <div class="actions"><Action run={async () => { jobStarted((await post("/api/v1/boots/{boot}/pull", words)).job); reload(); }}>{t("vm.pull")}</Action><CopyCommand command={`muletto boot pull ${vm.id}`} /></div>}
              </div>
            )}
            {may("vm-stop") && live && (
              <div>
                <h3>{t("vm.stop")}</h3>
                <p class="muted">{t("vm.stop.text")}</p>
                <div class="actions"><button type="button" class="plain" onClick={() => setAsking("keep")}>{t("vm.stop")}</button><CopyCommand command={`muletto boot stop ${vm.id} --keep --grace 60`} /></div>
              </div>
            )}
            {may("vm-stop") && (
              <div>
                <h3>{t("vm.discard")}</h3>
                <p class="muted">{t("vm.discard.text")}</p>
                <div class="actions"><button type="button" class="danger" onClick={() => setAsking("discard")}>{t("vm.discard")}</button><CopyCommand command={`muletto boot stop ${vm.id} --discard`} /></div>
              </div>
            )}
          </div>
        </Card>
      </div>
      {may("vm-console") && <Serial id={vm.id} live={live} />}
      {asking === "keep" && (
        <Confirm title={t("vm.stop")} action={t("vm.stop")} close={() => setAsking(undefined)} run={async () => jobStarted((await post("/api/v1/boots/{boot}/stop", words, { keep_overlay: true, shutdown_timeout_s: 60 })).job)}>
          <p>{t("vm.stop.sure")}</p>
        </Confirm>
      )}
      {asking === "discard" && (
        <Confirm title={t("vm.discard")} action={t("vm.discard")} danger name={vm.machine} close={() => setAsking(undefined)}
          run={async () => { jobStarted((await post("/api/v1/boots/{boot}/stop", words, { keep_overlay: false, shutdown_timeout_s: 0 })).job); say(t("vm.discarded", { machine: vm.machine })); }}>
          <p>{t("vm.discard.lost", { size: size(written(vm)) })}</p>
        </Confirm>
      )}
    </>
  );
}

// What a guest writes is shown as text, without what would steer a terminal.
const kControls = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_]|\][^\u0007]*\u0007)|[\u0000-\u0008\u000b-\u001f\u007f]/g;
const kMostShown = 64 * 1024;

function Serial({ id, live }: { id: string; live: boolean }) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (!open) return;
    let offset = 0, gone = false, timer = 0;
    const read = async () => {
      try {
        const answer = await request("GET", `/api/v1/boots/${encodeURIComponent(id)}/serial?offset=${offset}`);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        if (gone) return;
        offset += bytes.length;
        if (bytes.length > 0) setText((before) => (before + new TextDecoder().decode(bytes).replace(kControls, "")).slice(-kMostShown));
        if (bytes.length >= 256 * 1024) return void read();
      } catch {
        offset = 0; // the log was begun again
      }
      if (!gone && live) timer = window.setTimeout(() => void read(), 1500);
    };
    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id, open, live]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary><h2>{t("vm.serial")}</h2></summary>
      {text ? <pre ref={box} class="log" tabIndex={0} aria-label={t("vm.serial")}>{text}</pre> : <Empty title={t("vm.serial.none")}>{t("vm.serial.none.text")}</Empty>}
      <CopyCommand command={`muletto boot serial ${id} --follow`} />
    </details>
  );
}
