// Policies: when machines are synced and tested, and which points stay, shown before it is so.
import { useEffect, useState } from "preact/hooks";
import { get, post, put, remove, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { at, quoted } from "../lib/format";
import { t } from "../lib/language";
import { go, link } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Field, Head, Pill, say, Shown, Text, Trouble } from "../parts/basics";
import { Confirm } from "../parts/dialog";
import { commandTenant, machineLink } from "../parts/machine-bits";
import { useTenant } from "../parts/shell";
import { jobStarted } from "../parts/point-actions";

type PolicyFacts = Schemas["Policy"];

export function Policies() {
  const tenant = useTenant();
  const asked = useAnswer(tenant ? "/api/v1/policies" : null, { query: { tenant } });
  const [name, setName] = useState("");
  const [making, setMaking] = useState(false);
  return (
    <>
      <Head title={t("nav.policies")} note={t("policies.note")}>
        {may("policy-change") && <button type="button" class="main" onClick={() => setMaking(true)}>{t("policies.new")}</button>}
      </Head>
      <Shown asked={asked} what="wait.policies">
        {(data) => (
          <ul class="plain cards">
            {data.policies.map((policy) => (
              <li key={policy.name} class="card">
                <h2><a href={link(["policies", tenant!, policy.name])}>{policy.name}</a></h2>
                <p lang="en">{(policy.schedule ?? []).join(", ")} <span class="muted">{policy.timezone}</span></p>
                <p class="muted" lang="en">{t("policy.keep")}: {policy.keep}</p>
                <p class="muted" lang="en">{t("policy.verification")}: {policy.verification}</p>
                {policy.protect_new && <Pill tone="good">{t("policy.protect-new")}</Pill>}
              </li>
            ))}
          </ul>
        )}
      </Shown>
      {making && (
        <Confirm title={t("policies.new")} action={t("action.create")} close={() => setMaking(false)} ready={name.length > 0} run={async () => {
          await put("/api/v1/policies/{name}", { path: { name }, query: { tenant } }, {});
          go(link(["policies", tenant!, name]));
        }}>
          <Field label={t("column.name")}><Text value={name} set={setName} autoFocus required /></Field>
        </Confirm>
      )}
    </>
  );
}

export function Policy({ tenant, name }: { tenant: string; name: string }) {
  const asked = useAnswer("/api/v1/policies/{name}", { path: { name }, query: { tenant } });
  return <Shown asked={asked} what="wait.policies">{({ policy }) => <Sheet key={JSON.stringify(policy)} policy={policy} tenant={tenant} reload={asked.reload} />}</Shown>;
}

function Sheet({ policy, tenant, reload }: { policy: PolicyFacts; tenant: string; reload: () => void }) {
  const [draft, setDraft] = useState(policy);
  const [asking, setAsking] = useState<"delete" | "apply" | undefined>();
  const words = { path: { name: policy.name }, query: { tenant } };
  const field = (key: "keep" | "timezone" | "jitter" | "verification" | "verify_within" | "bandwidth" | "rpo" | "rto") =>
    ({ value: draft[key] ?? "", set: (value: string) => setDraft({ ...draft, [key]: value }), disabled: !may("policy-change"), lang: "en" }) as const;
  const list = (key: "schedule" | "blackout") =>
    ({ value: (draft[key] ?? []).join("; "), set: (value: string) => setDraft({ ...draft, [key]: value.split(";").map((each) => each.trim()).filter(Boolean) }), disabled: !may("policy-change"), lang: "en" }) as const;
  const { name: _, ...fields } = draft;
  const changed = JSON.stringify(draft) !== JSON.stringify(policy);
  const flags = [["keep", draft.keep], ["timezone", draft.timezone], ["jitter", draft.jitter], ["verification", draft.verification], ["verify-within", draft.verify_within], ["bandwidth", draft.bandwidth], ["rpo", draft.rpo], ["rto", draft.rto]] as const;
  const old = policy as unknown as Record<string, unknown>;
  const command = `muletto policy set ${quoted(policy.name)}${JSON.stringify(draft.schedule) === JSON.stringify(policy.schedule) ? "" : (draft.schedule ?? []).map((each) => ` --schedule ${quoted(each)}`).join("")}${flags.filter(([key, value]) => value !== old[key.replace("-", "_")]).map(([key, value]) => ` --${key} ${quoted(value ?? "") || "''"}`).join("")}${commandTenant(tenant)}`;
  return (
    <>
      <Head title={policy.name} back={{ href: "#/policies", text: t("nav.policies") }} note={t("policy.note")}>
        {may("policy-change") && <Action tone="main" disabled={!changed} run={async () => { await put("/api/v1/policies/{name}", words, fields); say(t("saved")); reload(); }}>{t("action.save")}</Action>}
        {changed && <CopyCommand command={command} />}
        {may("policy-change") && policy.name !== "default" && <button type="button" class="quiet danger-text" onClick={() => setAsking("delete")}>{t("action.delete")}</button>}
      </Head>
      <Card title={t("policy.when")}>
        <div class="fields">
          <Field label={t("policy.schedule")} hint={<span lang="en">every 15m; hourly mon-fri 7-19; daily 22:00; off</span>}><Text {...list("schedule")} /></Field>
          <Field label={t("policy.timezone")}><Text {...field("timezone")} /></Field>
          <Field label={t("policy.blackout")} hint={<span lang="en">mon-fri 12:00-13:00</span>}><Text {...list("blackout")} /></Field>
          <Field label={t("policy.jitter")} hint={<span lang="en">10m</span>}><Text {...field("jitter")} /></Field>
          <Field label={t("policy.bandwidth")} hint={<span lang="en">20M mon-fri 8-18, 100M</span>}><Text {...field("bandwidth")} /></Field>
          <Field label={t("policy.verification")} hint={<span lang="en">off, after-sync, nightly 02:00</span>}><Text {...field("verification")} /></Field>
        </div>
      </Card>
      <Card title={t("policy.promises")}>
        <div class="fields">
          <Field label={t("policy.rpo")} hint={t("policy.rpo.hint")}><Text {...field("rpo")} placeholder="2h" /></Field>
          <Field label={t("policy.rto")} hint={t("policy.rto.hint")}><Text {...field("rto")} placeholder="10m" /></Field>
          <Field label={t("policy.verify-within")}><Text {...field("verify_within")} placeholder="8d" /></Field>
        </div>
        {policy.name === "default" && <label class="check"><input type="checkbox" checked={draft.protect_new ?? false} disabled={!may("policy-change")} onChange={(event) => setDraft({ ...draft, protect_new: event.currentTarget.checked })} />{t("policy.protect-new")}</label>}
      </Card>
      <Card title={t("policy.retention")} note={t("policy.retention.note")} actions={may("point-delete") && <button type="button" class="plain small" onClick={() => setAsking("apply")}>{t("policy.apply")}</button>}>
        <Field label={t("policy.keep")} hint={<span lang="en">all; last 24, hourly 48, daily 14, weekly 8, monthly 12, yearly 5</span>}><Text {...field("keep")} /></Field>
        <Preview tenant={tenant} policy={policy.name} keep={draft.keep ?? ""} />
      </Card>
      {asking === "delete" && (
        <Confirm title={t("policy.delete")} action={t("action.delete")} danger close={() => setAsking(undefined)} run={async () => { await remove("/api/v1/policies/{name}", words); go("#/policies"); }}>
          <p>{t("policy.delete.text", { name: policy.name })}</p>
        </Confirm>
      )}
      {asking === "apply" && (
        <Confirm title={t("policy.apply")} action={t("policy.apply")} danger name={policy.name} close={() => setAsking(undefined)} run={async () => {
          const answer = await post("/api/v1/retention/apply", { query: { tenant } }, { policy: policy.name, now: true });
          answer.jobs.forEach(jobStarted);
          if (answer.jobs.length === 0) say(answer.held.map((each) => `${each.machine}: ${each.why}`).join("; ") || t("policy.apply.nothing"));
        }}>
          <p>{t("policy.apply.text")}</p>
          <CopyCommand command={`muletto policy apply --policy ${quoted(policy.name)} --now${commandTenant(tenant)}`} />
        </Confirm>
      )}
    </>
  );
}

// The timeline that retention would leave, by the rule as it is typed.
function Preview({ tenant, policy, keep }: { tenant: string; policy: string; keep: string }) {
  const [plans, setPlans] = useState<Schemas["RetentionPlan"][]>();
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      get("/api/v1/retention", { query: { tenant, policy, keep } }, stop.signal).then(
        (answer) => { setPlans(answer.machines); setError(undefined); },
        (failure: Error & { status?: number }) => {
          if (stop.signal.aborted) return;
          if (failure.status === 404) { setPlans([]); setError(undefined); } else setError(failure);
        });
    }, 400);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [tenant, policy, keep]);
  if (error) return <Trouble error={error} />;
  if (!plans) return null;
  if (plans.length === 0) return <Empty title={t("policy.unused")} />;
  return (
    <ul class="plain retention">
      {plans.slice(0, 30).map((plan) => (
        <li key={plan.machine}>
          <p><a href={machineLink(tenant, plan.machine)}>{plan.machine}</a> <span class="muted">{t("policy.would", { stay: String(plan.points.length - plan.going), going: String(plan.going) })}</span>
            {plan.waits_until && <span class="muted"> {t("policy.waits", { time: at(plan.waits_until) })}</span>}</p>
          {plan.held && <p class="strong-bad small-text" lang="en">{plan.held}</p>}
          <Kept points={plan.points} />
        </li>
      ))}
    </ul>
  );
}

function Kept({ points }: { points: Schemas["RetentionDecision"][] }) {
  if (points.length === 0) return null;
  const times = points.map((point) => Date.parse(point.time));
  const from = Math.min(...times), span = Math.max(1, Date.now() - from);
  const label = t("policy.would", { stay: String(points.filter((point) => point.stays).length), going: String(points.filter((point) => !point.stays).length) });
  return (
    <svg class="kept" viewBox="0 0 1000 18" preserveAspectRatio="none" role="img" aria-label={label}>
      {points.map((point) => <rect key={point.id} x={((Date.parse(point.time) - from) / span) * 994} y={point.stays ? 1 : 9} width="3" height={point.stays ? 16 : 8} class={point.stays ? "stays" : "going"} />)}
    </svg>
  );
}
