// One machine: its points over time, what they are worth, and everything that can be done with them.
import { useMemo, useState } from "preact/hooks";
import { post, put, remove, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { duration, fully, quoted, size } from "../lib/format";
import { t, word } from "../lib/language";
import { go, link, place } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Facts, Field, Head, Pill, Problems, say, Shown, Text, Time, usePage } from "../parts/basics";
import { Confirm } from "../parts/dialog";
import { Graph } from "../parts/graph";
import { commandTenant, Recovery, VerdictPill } from "../parts/machine-bits";
import { Picture } from "../parts/picture";
import { jobStarted, PointActions, StartDialog } from "../parts/point-actions";
import { Timeline } from "../parts/timeline";
import { JobRow } from "./jobs";

type Details = Schemas["MachineDetails"];

export function Machine({ tenant, name }: { tenant: string; name: string }) {
  const words = { path: { name }, query: { tenant } };
  const asked = useAnswer("/api/v1/machines/{name}", words, { on: ["point-arrived", "job-ended"], everyMs: 60_000 });
  return (
    <>
      <Shown asked={asked} what="wait.machine">
        {({ machine }) => <Sheet machine={machine} tenant={tenant} reload={asked.reload} />}
      </Shown>
      {asked.error && asked.data === undefined && <Reported tenant={tenant} name={name} />}
    </>
  );
}

// A machine that an agent reports and that has no point yet is no machine of the catalog.
function Reported({ tenant, name }: { tenant: string; name: string }) {
  const overview = useAnswer("/api/v1/overview", { query: { tenant } }, { on: ["point-arrived", "job-begun", "job-ended"] });
  const row = overview.data?.machines.find((each) => each.name === name);
  if (!row) return null;
  return (
    <Card title={t("machine.new", { name })} note={t("machine.new.text")}>
      <div class="actions">
        {may("machine-sync") && <Action tone="main" run={async () => jobStarted((await post("/api/v1/machines/{name}/sync", { path: { name }, query: { tenant } })).job)}>{t("action.sync")}</Action>}
        {!row.protection.wanted && may("machine-protect") && (
          <Action run={async () => { await put("/api/v1/machines/{name}/protection", { path: { name }, query: { tenant } }, { wanted: true }); overview.reload(); }}>{t("action.protect")}</Action>
        )}
        <CopyCommand command={`muletto sync start ${quoted(name)}${commandTenant(tenant)}`} />
      </div>
      {row.protection.last_error && <p class="strong-bad" lang="en">{row.protection.last_error}</p>}
    </Card>
  );
}

function Sheet({ machine, tenant, reload }: { machine: Details; tenant: string; reload: () => void }) {
  const { name, protection } = machine;
  const [forgetting, setForgetting] = useState(false);
  const [starting, setStarting] = useState(false);
  const words = { path: { name }, query: { tenant } };
  return (
    <>
      <Head title={name} back={{ href: "#/machines", text: t("nav.machines") }}
        note={<>{machine.host ?? t("machine.no-host")}{machine.latest_point && <> · {t("machine.newest")} <Time value={machine.latest_point.time} /></>}
          {protection.overdue && protection.wanted && <> <Pill tone="bad">{t("machine.overdue")}</Pill></>}
          {!protection.wanted && <> <Pill tone="warn">{t("machine.unprotected")}</Pill></>}</>}>
        {machine.latest_point && may("vm-start") && <button type="button" class="main" onClick={() => setStarting(true)}>{t("action.boot-newest")}</button>}
        {may("machine-sync") && <Action run={async () => jobStarted((await post("/api/v1/machines/{name}/sync", words)).job)}>{t("action.sync")}</Action>}
        {machine.latest_point && may("verification-start") && <Action run={async () => jobStarted((await post("/api/v1/verifications", { query: { tenant } }, { point: `${name}@latest` })).job)}>{t("action.test")}</Action>}
      </Head>
      {protection.last_error && protection.failures > 0 && <div class="trouble" role="status"><p lang="en">{t("machine.failing", { count: protection.failures })} {protection.last_error}</p></div>}
      <Points machine={machine} reload={reload} />
      <div class="columns">
        <Proof machine={machine} tenant={tenant} />
        <Protection machine={machine} tenant={tenant} reload={reload} />
      </div>
      <Syncs name={name} />
      <div class="columns">
        <Definition machine={machine} />
        <CheckList name={name} tenant={tenant} />
      </div>
      {may("machine-forget") && (
        <Card title={t("machine.forget.title")} note={t("machine.forget.note")}>
          <button type="button" class="plain danger-text" onClick={() => setForgetting(true)}>{t("machine.forget")}</button>
        </Card>
      )}
      {forgetting && <Forget name={name} tenant={tenant} close={() => setForgetting(false)} />}
      {starting && machine.latest_point && <StartDialog point={{ id: machine.latest_point.id, machine: name, tenant, time: machine.latest_point.time, hold: null }} close={() => setStarting(false)} />}
    </>
  );
}

function Forget({ name, tenant, close }: { name: string; tenant: string; close: () => void }) {
  const traces = useAnswer("/api/v1/machines/{name}/traces", { path: { name }, query: { tenant } });
  const found = traces.data?.traces;
  return (
    <Confirm title={t("machine.forget.title")} action={t("machine.forget")} danger name={name} close={close} ready={found !== undefined} run={async () => {
      jobStarted((await remove("/api/v1/machines/{name}", { path: { name }, query: { tenant, points: true } })).job);
      go("#/machines");
    }}>
      {found ? <p>{t("machine.forget.lost", { points: t("count.points", { count: found.points }), tests: t("count.tests", { count: found.test_boots }), jobs: t("count.jobs", { count: found.jobs }) })}</p> : <p>{t("wait.machine")}</p>}
      <CopyCommand command={`muletto machine forget ${quoted(name)} --with-points${commandTenant(tenant)}`} />
    </Confirm>
  );
}

function Points({ machine, reload }: { machine: Details; reload: () => void }) {
  const { tenant, name } = machine;
  const asked = useAnswer("/api/v1/points", { query: { tenant, machine: name } }, { on: ["point-arrived", "job-ended"] });
  const tests = useAnswer(may("verification-view") ? "/api/v1/verifications" : null, { query: { tenant, machine: name, limit: 1000 } }, { on: ["job-ended", "boot-ended"] });
  const [chosen, setChosen] = useState<string | undefined>();
  const verdicts = useMemo(() => {
    const found = new Map<string, string>();
    for (const test of tests.data?.verifications ?? []) if (!found.has(test.point)) found.set(test.point, test.verdict);
    return found;
  }, [tests.data]);
  return (
    <Card title={t("machine.points")} note={t("machine.points.note")}>
      <Shown asked={asked} what="wait.points">
        {(data) => {
          if (data.points.length === 0) return <><Problems list={data.problems} /><Empty title={t("points.none")}>{t("points.none.text")}</Empty></>;
          const newestFirst = [...data.points].reverse();
          const at = place.value.query.get("at");
          const near = at ? newestFirst.find((point) => Date.parse(point.time) <= Date.parse(at)) : undefined;
          const point = newestFirst.find((each) => each.id === chosen) ?? near ?? newestFirst[0]!;
          const again = () => { asked.reload(); reload(); };
          return (
            <>
              <Problems list={data.problems} />
              <Timeline points={data.points} verdicts={verdicts} choose={(each) => setChosen(each.id)} chosen={point.id} />
              <div class="chosen-point" aria-live="polite">
                <div>
                  <p class="chosen-title"><a href={link(["points", tenant, point.id])}>{fully(point.time)}</a></p>
                  <p class="muted small-text">{word("consistency", point.consistency)} · {size(point.size)}{verdicts.has(point.id) && <> · <VerdictPill verdict={verdicts.get(point.id)!} /></>}{point.hold && <> · <Pill tone="busy">{t("timeline.held")}</Pill></>}
                    {point.damage_found && <> · <Pill tone="bad">{t("point.damaged")}</Pill></>}{point.missing_since && <> · <Pill tone="bad">{t("point.missing")}</Pill></>}</p>
                </div>
                <div class="actions"><PointActions point={{ ...point, tenant }} changed={again} gone={() => { setChosen(undefined); again(); }} /></div>
              </div>
              <PointTable points={newestFirst} verdicts={verdicts} tenant={tenant} choose={setChosen} chosen={point.id} />
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

function PointTable({ points, verdicts, tenant, chosen, choose }: {
  points: Schemas["PointRow"][];
  verdicts: ReadonlyMap<string, string>;
  tenant: string;
  chosen: string;
  choose: (id: string) => void;
}) {
  const { rows, more } = usePage(points, 10);
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("machine.points")}>
        <table>
          <thead><tr><th>{t("column.time")}</th><th>{t("column.consistency")}</th><th>{t("column.verdict")}</th><th>{t("column.keeps")}</th><th><span class="hidden">{t("column.choose")}</span></th></tr></thead>
          <tbody>
            {rows.map((point) => (
              <tr key={point.id} class={point.id === chosen ? "chosen" : ""}>
                <td><a href={link(["points", tenant, point.id])}><Time value={point.time} exact /></a></td>
                <td>{word("consistency", point.consistency)}</td>
                <td>{verdicts.has(point.id) ? <VerdictPill verdict={verdicts.get(point.id)!} /> : <span class="muted">–</span>}</td>
                <td class="wrap">{point.missing_since ? <Pill tone="bad">{t("point.missing")}</Pill> : point.stays === false ? <Pill tone="warn">{t("timeline.going")}</Pill> : null} <span class="muted small-text" lang="en">{(point.reasons ?? []).join(", ")}</span></td>
                <td class="number"><button type="button" class="quiet small" onClick={() => choose(point.id)} aria-label={t("column.choose")}>{t("action.choose")}</button></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more}
    </>
  );
}

function Proof({ machine, tenant }: { machine: Details; tenant: string }) {
  const tests = useAnswer(may("verification-view") ? "/api/v1/verifications" : null, { query: { tenant, machine: machine.name, limit: 1000 } });
  const list = tests.data?.verifications ?? [];
  const passes = useMemo(() => list.filter((test) => test.recovery_ms !== null).reverse(), [tests.data]);
  const times = useMemo(() => passes.map((test) => Date.parse(test.started) / 1000), [passes]);
  const values = useMemo(() => passes.map((test) => test.recovery_ms), [passes]);
  return (
    <Card title={t("machine.proof")} note={t("machine.proof.note")} actions={<a class="button quiet small" href={link(["tests"], { machine: machine.name })}>{t("list.all")}</a>}>
      <p class="figure"><Recovery recovery={machine.recovery} /></p>
      {times.length > 1 && <Graph times={times} values={values} text={duration} label={t("column.recovery")} />}
      {list.length === 0 ? <Empty title={t("tests.none")}>{t("tests.none.machine")}</Empty> : (
        <ul class="plain film">
          {list.slice(0, 6).map((test) => (
            <li key={test.number}>
              <a href={link(["tests", tenant, test.number])}>
                {test.picture_count > 0 ? <Picture target={`/api/v1/verifications/${test.number}/pictures/${test.picture_count}?tenant=${encodeURIComponent(tenant)}`} alt={t("picture.alt", { machine: test.machine })} /> : <span class="no-picture" aria-hidden="true" />}
                <span class="inline"><VerdictPill verdict={test.verdict} /><span class="muted small-text"><Time value={test.started} /></span></span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Protection({ machine, tenant, reload }: { machine: Details; tenant: string; reload: () => void }) {
  const policies = useAnswer(may("policy-view") ? "/api/v1/policies" : null, { query: { tenant } });
  const { protection, name } = machine;
  const policy = policies.data?.policies.find((each) => each.name === (protection.policy || "default"));
  const set = async (body: { wanted: boolean; policy?: string }) => {
    await put("/api/v1/machines/{name}/protection", { path: { name }, query: { tenant } }, body);
    say(body.wanted ? t("machine.protected", { name }) : t("machine.unprotected.done", { name }));
    reload();
  };
  return (
    <Card title={t("machine.protection")} note={protection.wanted ? undefined : t("machine.protection.off")}>
      <Facts rows={[
        [t("column.policy"), policy ? <a href={link(["policies", tenant, policy.name])}>{policy.name}</a> : protection.policy],
        policy && [t("policy.schedule"), <span lang="en">{(policy.schedule ?? []).join(", ")}</span>],
        policy && [t("policy.keep"), <span lang="en">{policy.keep}</span>],
        protection.next_due && [t("machine.next"), <Time value={protection.next_due} />],
        [t("machine.worst-day"), duration(protection.worst_day_ms)],
        [t("machine.worst-week"), duration(protection.worst_week_ms)],
      ]} />
      {may("machine-protect") && (
        <div class="actions">
          {policies.data && (
            <label class="inline"><span class="label">{t("machine.policy.choose")}</span>
              <select value={protection.policy || "default"} onChange={(event) => void set({ wanted: protection.wanted, policy: event.currentTarget.value }).catch((error: Error) => say(error.message, "bad"))}>
                {policies.data.policies.map((each) => <option key={each.name}>{each.name}</option>)}
              </select>
            </label>
          )}
          <Action run={() => set({ wanted: !protection.wanted })} tone={protection.wanted ? "plain" : "main"}>{protection.wanted ? t("action.unprotect") : t("action.protect")}</Action>
          <CopyCommand command={`muletto machine ${protection.wanted ? "unprotect" : "protect"} ${quoted(name)}${commandTenant(tenant)}`} />
        </div>
      )}
    </Card>
  );
}

function Syncs({ name }: { name: string }) {
  const asked = useAnswer(may("job-view") ? "/api/v1/jobs" : null, { query: { subject: name, kind: "sync", limit: 100 } }, { on: ["job-begun", "job-ended"] });
  const jobs = asked.data?.jobs ?? [];
  const { rows, more } = usePage(jobs, 5);
  return (
    <Card title={t("machine.syncs")}>
      {jobs.length === 0 ? <Empty title={t("syncs.none")}>{t("syncs.none.text")}</Empty> : <ul class="plain jobs">{rows.map((job) => <JobRow key={job.id} job={job} />)}</ul>}
      {more}
    </Card>
  );
}

function Definition({ machine }: { machine: Details }) {
  const definition = machine.definition;
  return (
    <Card title={t("machine.definition")} note={t("machine.definition.note")}>
      {!definition ? <Empty title={t("machine.no-point")} /> : (
        <Facts rows={[
          [t("machine.cpus"), definition.cpu_count ? String(definition.cpu_count) : "–"],
          [t("machine.memory"), definition.memory_size ? size(definition.memory_size) : "–"],
          [t("machine.firmware"), definition.firmware.toUpperCase()],
          ...(machine.disks ?? []).map((disk) => [`${t("machine.disk")} ${disk.name}`, size(disk.size)] as const),
          ...definition.network_cards.map((card, index) => [`${t("machine.network")} ${index + 1}`, [card.mac, card.model, card.network].filter(Boolean).join(" · ")] as const),
        ]} />
      )}
    </Card>
  );
}

function CheckList({ name, tenant }: { name: string; tenant: string }) {
  const words = { path: { name }, query: { tenant } };
  const asked = useAnswer(may("verification-view") ? "/api/v1/machines/{name}/checks" : null, words);
  const [text, setText] = useState<string>();
  return (
    <Card title={t("checks.title")} note={t("checks.note")}>
      {asked.data && (
        <>
          <Field label={t("checks.required")} hint={t("checks.hint")}>
            <Text value={text ?? asked.data.checks.join(" ")} set={setText} disabled={!may("verification-change")} placeholder="tcp:443 http:80/health" />
          </Field>
          <p class="muted small-text">{asked.data.learned.length > 0 ? t("checks.learned", { list: asked.data.learned.join(", ") }) : t("checks.learned.none")}</p>
          {may("verification-change") && (
            <div class="actions">
              <Action disabled={text === undefined} run={async () => {
                await put("/api/v1/machines/{name}/checks", words, { checks: (text ?? "").split(/[\s,]+/).filter(Boolean) });
                setText(undefined);
                asked.reload();
                say(t("saved"));
              }}>{t("action.save")}</Action>
              <Action tone="quiet" run={async () => { await post("/api/v1/machines/{name}/checks/relearn", words); asked.reload(); }}>{t("checks.relearn")}</Action>
            </div>
          )}
        </>
      )}
    </Card>
  );
}
