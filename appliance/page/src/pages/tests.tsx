// Test boots: what was seen, as a film, and why it counts as a pass or a failure.
import { useState } from "preact/hooks";
import { download, post, put, remove, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { duration } from "../lib/format";
import { t, word } from "../lib/language";
import { link, place } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Facts, Field, Head, Pill, Problems, say, Shown, Text, Time, usePage } from "../parts/basics";
import { Confirm } from "../parts/dialog";
import { commandTenant, machineLink, VerdictPill } from "../parts/machine-bits";
import { Picture } from "../parts/picture";
import { jobStarted } from "../parts/point-actions";
import { useTenant } from "../parts/shell";

export function Tests() {
  const tenant = useTenant();
  const machine = place.value.query.get("machine") ?? undefined;
  const asked = useAnswer(tenant ? "/api/v1/verifications" : null, { query: { tenant, machine, limit: 200 } }, { on: ["boot-begun", "boot-ended", "job-ended"] });
  const running = useAnswer(may("job-view") ? "/api/v1/jobs" : null, { query: { kind: "verify", state: "running" } }, { on: ["job-begun", "job-ended"], everyMs: 10_000 });
  return (
    <>
      <Head title={machine ? t("tests.of", { machine }) : t("nav.tests")} note={t("tests.note")} {...(machine && tenant ? { back: { href: machineLink(tenant, machine), text: machine } } : {})} />
      {(running.data?.jobs.length ?? 0) > 0 && <p class="note" role="status">{t("tests.running", { list: running.data!.jobs.map((job) => job.subject).join(", ") })}</p>}
      <Shown asked={asked} what="wait.tests">
        {(data) => <><Problems list={data.problems} /><List tests={data.verifications} tenant={tenant!} /></>}
      </Shown>
    </>
  );
}

function List({ tests, tenant }: { tests: Schemas["Verification"][]; tenant: string }) {
  const { rows, more } = usePage(tests, 24);
  if (tests.length === 0) return <Card><Empty title={t("tests.none")}>{t("tests.none.text")}</Empty></Card>;
  return (
    <>
      <ul class="plain screens">
        {rows.map((test) => (
          <li key={test.number} class="screen-card">
            <a href={link(["tests", tenant, test.number])} aria-label={`${test.machine}, ${word("verdict", test.verdict)}`}>
              {test.picture_count > 0 ? <Picture target={`/api/v1/verifications/${test.number}/pictures/${test.picture_count}?tenant=${encodeURIComponent(tenant)}`} alt={t("picture.alt", { machine: test.machine })} /> : <span class="no-picture" aria-hidden="true" />}
            </a>
            <div class="screen-text">
              <p><strong><a href={link(["tests", tenant, test.number])}>{test.machine}</a></strong> <VerdictPill verdict={test.verdict} />{!test.settled && <Pill tone="busy">{t("tests.watching")}</Pill>}</p>
              <p class="small-text" lang="en">{test.reasons[0]}</p>
              <p class="muted small-text"><Time value={test.started} />{test.recovery_ms !== null && <> · {t("tests.recovered", { time: duration(test.recovery_ms) })}</>}</p>
            </div>
          </li>
        ))}
      </ul>
      {more}
    </>
  );
}

export function Test({ tenant, number }: { tenant: string; number: string }) {
  const words = { path: { number }, query: { tenant } };
  const asked = useAnswer("/api/v1/verifications/{number}", words, { on: ["job-ended"] });
  return <Shown asked={asked} what="wait.test">{({ verification }) => <Sheet test={verification} tenant={tenant} reload={asked.reload} />}</Shown>;
}

function Sheet({ test, tenant, reload }: { test: Schemas["VerificationDetails"]; tenant: string; reload: () => void }) {
  const words = { path: { number: test.number }, query: { tenant } };
  const [asking, setAsking] = useState<"correct" | undefined>();
  const [large, setLarge] = useState<number>();
  const picture = (index: number) => `/api/v1/verifications/${test.number}/pictures/${index}?tenant=${encodeURIComponent(tenant)}`;
  const shown = large ?? test.pictures.length;
  return (
    <>
      <Head title={t("test.title", { machine: test.machine })} back={{ href: link(["tests"], { machine: test.machine }), text: t("nav.tests") }}
        note={<><VerdictPill verdict={test.verdict} /> <Time value={test.started} /> · {word("why", test.why)} · <a href={link(["points", tenant, test.point])}>{t("test.point")} <Time value={test.point_time} exact /></a></>}>
        {may("verification-start") && <Action run={async () => jobStarted((await post("/api/v1/verifications", { query: { tenant } }, { point: test.point })).job)}>{t("action.test-again")}</Action>}
        {may("verification-start") && test.verdict !== "pass" && <Action run={async () => jobStarted((await post("/api/v1/machines/{name}/bisect", { path: { name: test.machine }, query: { tenant } })).job)}>{t("action.bisect")}</Action>}
        {may("verification-change") && (test.correction
          ? <Action run={async () => { await remove("/api/v1/verifications/{number}/correction", words); reload(); }}>{t("test.withdraw")}</Action>
          : <button type="button" class="plain" onClick={() => setAsking("correct")}>{t("test.correct")}</button>)}
        <CopyCommand command={`muletto verify show ${test.number}${commandTenant(tenant)}`} />
      </Head>
      {test.correction && <div class="trouble quiet" role="status"><p>{t("test.corrected", { who: test.correction.corrected_by, from: word("verdict", test.correction.given_verdict) })} {test.correction.reason}</p></div>}
      <Card title={t("test.reasons")}>
        <ol class="reasons" lang="en">{test.reasons.map((each) => <li key={each}>{each}</li>)}</ol>
        <Facts rows={[
          [t("test.recovery"), test.recovery_ms === null ? "–" : duration(test.recovery_ms)],
          [t("test.judged"), duration(test.judged_ms)],
          [t("figures.took"), duration(test.duration_ms)],
          [t("checks.answered"), test.checks.join(", ") || "–"],
        ]} />
      </Card>
      <Card title={t("test.film")} note={t("test.film.note")}>
        {test.pictures.length === 0 ? <Empty title={t("test.film.none")}>{t("test.film.none.text")}</Empty> : (
          <>
            <div class="large-picture"><Picture target={picture(shown)} alt={t("picture.alt", { machine: test.machine })} /></div>
            <p class="recognised" lang="en">{test.pictures[shown - 1]?.text || <span class="muted">{t("test.no-words")}</span>}</p>
            <ol class="plain film-strip" aria-label={t("test.film")}>
              {test.pictures.map((each, index) => (
                <li key={index}>
                  <button type="button" class={shown === index + 1 ? "on" : ""} aria-pressed={shown === index + 1} onClick={() => setLarge(index + 1)}>
                    <Picture target={picture(index + 1)} alt={t("test.picture", { number: String(index + 1), time: duration(each.at_ms) })} />
                    <span>{duration(each.at_ms)}</span>
                  </button>
                </li>
              ))}
            </ol>
          </>
        )}
      </Card>
      <Evidence test={test} tenant={tenant} />
      {test.serial && <details class="card"><summary><h2>{t("vm.serial")}</h2></summary><pre class="log" tabIndex={0}>{test.serial}</pre></details>}
      {asking && <Correct test={test} tenant={tenant} close={() => setAsking(undefined)} reload={reload} />}
    </>
  );
}

function Evidence({ test, tenant }: { test: Schemas["VerificationDetails"]; tenant: string }) {
  const explained = useAnswer("/api/v1/verifications/{number}/explanation", { path: { number: test.number }, query: { tenant } });
  const explanation = explained.data?.explanation;
  const signals: (Schemas["Observation"] & { decisive?: boolean })[] = explanation?.signals.length ? explanation.signals : test.evidence;
  return (
    <Card title={t("test.evidence")} note={explanation?.rule_sentence ? <span lang="en">{explanation.rule_sentence}</span> : t("test.evidence.note")}>
      {signals.length === 0 ? <Empty title={t("test.evidence.none")} /> : (
        <ol class="plain evidence">
          {signals.map((each, index) => (
            <li key={index} class={each.decisive ? "decisive" : ""}>
              <span class="evidence-time">{duration(each.at_ms)}</span>
              <span class={`evidence-mark ${each.good === true ? "good" : each.good === false ? "bad" : ""}`} aria-hidden="true" />
              <span lang="en"><strong>{each.signal}{each.subject ? ` ${each.subject}` : ""}</strong> {each.meaning ?? ""} {each.detail ? <q>{each.detail}</q> : ""}</span>
              {each.decisive && <Pill tone="busy">{t("test.decisive")}</Pill>}
            </li>
          ))}
        </ol>
      )}
      {explanation && explanation.expected.length > 0 && <p class="muted small-text">{t("test.expected")} {explanation.expected.map((each) => each.check).join(", ")}</p>}
      <div class="actions">
        <CopyCommand command={`muletto verify explain ${test.number}${commandTenant(tenant)}`} />
        <button type="button" class="quiet small" onClick={() => void download(`/api/v1/verifications/${test.number}/case?tenant=${encodeURIComponent(tenant)}`, `case-${test.number}.json`).catch((error: Error) => say(error.message, "bad"))}>{t("test.export")}</button>
      </div>
    </Card>
  );
}

function Correct({ test, tenant, close, reload }: { test: Schemas["Verification"]; tenant: string; close: () => void; reload: () => void }) {
  const [verdict, setVerdict] = useState<"pass" | "fail">(test.verdict === "pass" ? "fail" : "pass");
  const [reason, setReason] = useState("");
  const [teach, setTeach] = useState(true);
  return (
    <Confirm title={t("test.correct")} action={t("test.correct")} close={close} ready={reason.length > 0} run={async () => {
      const answer = await put("/api/v1/verifications/{number}/correction", { path: { number: test.number }, query: { tenant } }, { verdict, reason, without_teaching: !teach });
      say(answer.note || t("saved"));
      reload();
    }}>
      <p>{t("test.correct.text")}</p>
      <Field label={t("test.correct.right")}>
        <select value={verdict} onChange={(event) => setVerdict(event.currentTarget.value as "pass")}><option value="pass">{t("verdict.pass")}</option><option value="fail">{t("verdict.fail")}</option></select>
      </Field>
      <Field label={t("test.correct.why")}><Text value={reason} set={setReason} maxLength={500} autoFocus /></Field>
      <label class="check"><input type="checkbox" checked={teach} onChange={(event) => setTeach(event.currentTarget.checked)} />{t("test.correct.teach")}</label>
    </Confirm>
  );
}
