// A server is gone. Which one, or which machines; what will start here, what fits, what is against it;
// start them in order; watch them come up.
import { useEffect, useMemo, useState } from "preact/hooks";
import { post, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { ago, duration, quoted, size } from "../lib/format";
import { t, word } from "../lib/language";
import { go, link } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Field, Head, Pill, Shown, Text, Time, type Tone } from "../parts/basics";
import { Icon } from "../parts/icons";
import { commandTenant, type OverviewRow } from "../parts/machine-bits";
import { Picture } from "../parts/picture";
import { useTenant } from "../parts/shell";

type Check = Schemas["BootCheck"];
type Checked = { check?: Check; error?: Error };
const kNetworks = ["isolated", "nat", "none"] as const;

export function Disaster() {
  const tenant = useTenant();
  const overview = useAnswer(tenant ? "/api/v1/overview" : null, { query: { tenant } });
  return (
    <>
      <Head title={t("disaster.title")} note={t("disaster.note")} />
      <Shown asked={overview} what="wait.machines">
        {(data) => {
          const rows = data.machines.filter((row) => row.latest_point);
          return rows.length === 0
            ? <Card><Empty title={t("disaster.nothing")}>{t("disaster.nothing.text")}</Empty></Card>
            : <Plan key={tenant} tenant={tenant!} rows={rows} />;
        }}
      </Shown>
    </>
  );
}

// Groups that start one after the other; a machine without a number is in the first.
function Plan({ tenant, rows }: { tenant: string; rows: OverviewRow[] }) {
  const hosts = useMemo(() => [...new Set(rows.map((row) => row.host ?? ""))].sort(), [rows]);
  const [chosen, setChosen] = useState<ReadonlyMap<string, number>>(new Map());
  const [network, setNetwork] = useState<string>("isolated");
  const [bridge, setBridge] = useState("");
  const [original, setOriginal] = useState<"" | "beside" | "replaced">("");
  const [memory, setMemory] = useState("");
  const [checks, setChecks] = useState<ReadonlyMap<string, Checked>>(new Map());
  const networks = [network === "bridge" ? `bridge:${bridge}` : network];
  const memorySize = Number(memory) > 0 ? Math.round(Number(memory) * 1024 * 1024) : undefined;
  const order = { networks, ...(original ? { original } : {}), ...(memorySize ? { memory_size: memorySize } : {}) } as Partial<Schemas["BootOptions"]>;
  const names = [...chosen.keys()];
  const pick = (machines: OverviewRow[], on: boolean) => {
    const next = new Map(chosen);
    for (const row of machines) {
      if (on) next.set(row.name, next.get(row.name) ?? 1);
      else next.delete(row.name);
    }
    setChosen(next);
  };
  const orderText = JSON.stringify(order);
  useEffect(() => {
    if (network === "bridge" && !bridge) return;
    let gone = false;
    setChecks(new Map());
    const found = new Map<string, Checked>();
    // A few at a time: each is a look into the store.
    const waiting = [...names];
    const work = async () => {
      for (let name = waiting.shift(); name !== undefined && !gone; name = waiting.shift()) {
        try {
          const answer = await post("/api/v1/boots/check", { query: { tenant } }, { point: `${name}@latest`, ...order } as Schemas["BootOrder"]);
          found.set(name, { check: answer.check });
        } catch (error) {
          found.set(name, { error: error as Error });
        }
        if (!gone) setChecks(new Map(found));
      }
    };
    const timer = setTimeout(() => { for (let i = 0; i < 3; ++i) void work(); }, 200);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [names.join("\n"), orderText, tenant]);
  const fits = names.filter((name) => checks.get(name)?.check?.possible);
  const wanted = fits.reduce((sum, name) => sum + (checks.get(name)?.check?.memory_size ?? 0), 0);
  const groups = [...new Set(fits.map((name) => chosen.get(name) ?? 1))].sort((a, b) => a - b)
    .map((group) => fits.filter((name) => (chosen.get(name) ?? 1) === group).map((name) => `${name}@latest`));
  const start = async () => {
    const answer = await post("/api/v1/boot-orders", { query: { tenant } }, { groups, keep_going: true, ...order } as Schemas["BootSequenceOrder"]);
    go(link(["disaster", answer.job.id]));
  };
  const command = groups.length === 0 ? "" : `muletto boot start ${groups[0]!.map(quoted).join(" ")}${groups.slice(1).map((group) => ` --then ${quoted(group.join(","))}`).join("")} --network ${networks[0]}${memorySize ? ` --memory ${memory}M` : ""}${original ? ` --original ${original}` : ""}${commandTenant(tenant)}`;
  return (
    <>
      <Card title={t("disaster.which")} note={t("disaster.which.note")}>
        {hosts.map((host) => {
          const of = rows.filter((row) => (row.host ?? "") === host);
          const all = of.every((row) => chosen.has(row.name));
          return (
            <fieldset key={host} class="host-choice">
              <legend>
                <label class="check"><input type="checkbox" checked={all} onChange={(event) => pick(of, event.currentTarget.checked)} />
                  <strong>{host || t("machine.no-host")}</strong><span class="muted">{t("count.machines", { count: of.length })}</span></label>
              </legend>
              <ul class="plain choices">
                {of.map((row) => (
                  <li key={row.name}>
                    <label class="check"><input type="checkbox" checked={chosen.has(row.name)} onChange={(event) => pick([row], event.currentTarget.checked)} /><span class="choice-name">{row.name}</span></label>
                    <span class="muted small-text">{t("disaster.as-of", { time: ago(row.latest_point!.time) })}</span>
                    {row.newest_test && <Pill tone={row.newest_test.verdict === "pass" ? "good" : row.newest_test.verdict === "fail" ? "bad" : "warn"}>{word("verdict", row.newest_test.verdict)}</Pill>}
                  </li>
                ))}
              </ul>
            </fieldset>
          );
        })}
      </Card>
      <Card title={t("disaster.how")}>
        <div class="fields">
          <Field label={t("boot.network")} hint={t(`network.${network as "isolated" | "nat" | "none" | "bridge"}`)}>
            <select value={network} onChange={(event) => setNetwork(event.currentTarget.value)}>
              {[...kNetworks, "bridge"].map((each) => <option key={each} value={each}>{t(`network.${each as "nat"}.name`)}</option>)}
            </select>
          </Field>
          {network === "bridge" && <Field label={t("boot.bridge")} hint={t("boot.bridge.hint")}><Text value={bridge} set={setBridge} placeholder="br0" /></Field>}
          <Field label={t("boot.memory")} hint={t("boot.memory.hint")}><Text value={memory} set={setMemory} inputMode="numeric" type="number" min="16" /></Field>
          <Field label={t("boot.original")} hint={t("boot.original.hint")}>
            <select value={original} onChange={(event) => setOriginal(event.currentTarget.value as "beside")}>
              <option value="">{t("boot.original.gone")}</option><option value="replaced">{t("boot.original.replaced")}</option><option value="beside">{t("boot.original.beside")}</option>
            </select>
          </Field>
        </div>
      </Card>
      <Card title={t("disaster.what")} note={names.length > 0 ? t("disaster.sum", { fits: String(fits.length), all: String(names.length), memory: size(wanted) }) : undefined}>
        {names.length === 0 ? <Empty title={t("disaster.choose")} /> : (
          <ul class="plain checks" aria-live="polite">
            {names.map((name) => (
              <CheckRow key={name} name={name} checked={checks.get(name)} group={chosen.get(name) ?? 1}
                set={(group) => setChosen(new Map(chosen).set(name, group))} />
            ))}
          </ul>
        )}
        {may("vm-start") && (
          <div class="big-action">
            <Action tone="danger" disabled={fits.length === 0} run={start}><Icon name="bolt" />{t("disaster.start", { count: fits.length })}</Action>
            {command && <CopyCommand command={command} />}
          </div>
        )}
      </Card>
    </>
  );
}

function CheckRow({ name, checked, group, set }: { name: string; checked: Checked | undefined; group: number; set: (group: number) => void }) {
  const check = checked?.check;
  const tone: Tone = !checked ? "quiet" : check?.possible ? "good" : "bad";
  return (
    <li class="check-row">
      <div class="check-row-head">
        <strong>{name}</strong>
        <Pill tone={tone}>{!checked ? t("disaster.looking") : check?.possible ? t("disaster.fits") : t("disaster.against")}</Pill>
        {check && <span class="muted small-text">{t("boot.hardware", { cpus: t("count.cpus", { count: check.cpu_count }), memory: size(check.memory_size), firmware: check.firmware.toUpperCase() })}</span>}
        <label class="group-choice">{t("disaster.group")}
          <select value={String(group)} onChange={(event) => set(Number(event.currentTarget.value))} aria-label={t("disaster.group.of", { name })}>
            {[1, 2, 3, 4, 5].map((each) => <option key={each}>{each}</option>)}
          </select>
        </label>
      </div>
      {checked?.error && <p class="strong-bad">{checked.error.message}</p>}
      {check && check.reasons.length > 0 && <ul lang="en">{check.reasons.map((each) => <li key={each} class="strong-bad">{each}</li>)}</ul>}
      {check && check.notes.length > 0 && (
        <details><summary>{t("boot.notes", { count: check.notes.length })}</summary><ul lang="en">{check.notes.map((each) => <li key={each}>{each}</li>)}</ul></details>
      )}
    </li>
  );
}

const startTone: Record<string, Tone> = { waiting: "quiet", starting: "busy", answered: "good", started: "good", silent: "warn", failed: "bad", skipped: "bad" };

export function DisasterRun({ job: id }: { job: string }) {
  const asked = useAnswer("/api/v1/jobs/{id}", { path: { id } }, { on: ["job-ended", "boot-begun", "boot-ended"], everyMs: 2000 });
  const vms = useAnswer("/api/v1/boots", {}, { on: ["boot-begun", "boot-ended"], everyMs: 10_000 });
  return (
    <Shown asked={asked} what="wait.job">
      {({ job }) => {
        const rows = ((job.figures as Partial<Schemas["BootSequenceFigures"]>).boots ?? []);
        const up = rows.filter((row) => row.boot).length;
        const over = job.state !== "running" && job.state !== "queued";
        return (
          <>
            <Head title={over ? t("disaster.up.done", { up: String(up), all: String(rows.length) }) : t("disaster.up", { up: String(up), all: String(rows.length) })}
              note={<>{t("disaster.begun")} <Time value={job.created} />{job.duration_ms !== null && ` · ${duration(job.duration_ms)}`}</>}>
              {up > 1 && <a class="button" href={link(["screens"], { ids: rows.filter((row) => row.boot).map((row) => row.boot).join(",") })}>{t("vms.screens")}</a>}
              {!over && may("job-cancel") && <Action run={() => post("/api/v1/jobs/{id}/cancel", { path: { id: job.id } })}>{t("disaster.stop")}</Action>}
              <a class="button quiet" href={link(["jobs", job.id])}>{t("job.log")}</a>
            </Head>
            {job.error && <p class="strong-bad" role="alert" lang="en">{job.error.message}</p>}
            {rows.length === 0 && <Card><Empty title={t("disaster.waiting")} /></Card>}
            <ul class="plain screens">
              {rows.map((row) => {
                const vm = vms.data?.boots.find((each) => each.id === row.boot);
                return (
                  <li key={row.machine} class="screen-card">
                    {row.boot && vm?.state === "running"
                      ? <a href={link(["vms", row.boot])}><Picture target={`/api/v1/boots/${row.boot}/screenshot`} alt={t("picture.alt", { machine: row.machine })} everyMs={4000} /></a>
                      : <span class="no-picture" aria-hidden="true" />}
                    <div class="screen-text">
                      <p><strong>{row.boot ? <a href={link(["vms", row.boot])}>{row.machine}</a> : row.machine}</strong> <Pill tone={startTone[row.state] ?? "quiet"}>{word("start", row.state)}</Pill></p>
                      {row.error && <p class="strong-bad small-text" lang="en">{row.error}</p>}
                      {row.answered_ms > 0 ? <p class="muted small-text">{t("disaster.answered", { time: duration(row.answered_ms) })}</p>
                        : row.start_duration_ms > 0 && <p class="muted small-text">{t("disaster.ran", { time: duration(row.start_duration_ms) })}</p>}
                    </div>
                  </li>
                );
              })}
            </ul>
          </>
        );
      }}
    </Shown>
  );
}
