// This browser's language and colours, and the appliance itself.
import { post } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { fully, zone, zoneShort } from "../lib/format";
import { choose, type Language, language, languageNames, t } from "../lib/language";
import { type Theme, theme } from "../lib/theme";
import { Action, Card, CopyCommand, Facts, Field, Head, Pill, Problems, say, Shown, Time } from "../parts/basics";
import { Confirm } from "../parts/dialog";
import { jobStarted } from "../parts/point-actions";
import { useState } from "preact/hooks";

export function Settings() {
  const status = useAnswer(may("status-view") ? "/api/v1/status" : null, {}, { everyMs: 15_000 });
  const clock = useAnswer(may("clock-view") ? "/api/v1/clock" : null, {}, { everyMs: 15_000 });
  const [accepting, setAccepting] = useState(false);
  return (
    <>
      <Head title={t("nav.settings")} />
      <Card title={t("settings.browser")} note={t("settings.browser.note")}>
        <div class="fields">
          <Field label={t("settings.language")}>
            <select value={language.value} onChange={(event) => choose(event.currentTarget.value as Language)}>
              {Object.entries(languageNames).map(([code, name]) => <option key={code} value={code} lang={code}>{name}</option>)}
            </select>
          </Field>
          <Field label={t("settings.theme")}>
            <select value={theme.value} onChange={(event) => { theme.value = event.currentTarget.value as Theme; }}>
              {(["system", "light", "dark"] as const).map((each) => <option key={each} value={each}>{t(`theme.${each}`)}</option>)}
            </select>
          </Field>
        </div>
        <p class="muted">{t("time.zone", { zone: `${zone.replaceAll("_", " ")} (${zoneShort()})` })}</p>
      </Card>
      <Shown asked={status} what="wait.status">
        {(data) => (
          <>
            <Problems list={data.problems} />
            <Card title={t("settings.appliance")}>
              <Facts rows={[
                [t("settings.version"), data.version], [t("settings.address"), data.address], [t("settings.fingerprint"), <code class="id">{data.fingerprint}</code>],
                [t("settings.started"), <Time value={data.started} />], [t("settings.node"), <code class="id">{data.node}</code>], [t("settings.folder"), <code class="id">{data.state_directory}</code>],
              ]} />
              {data.failing_duties.map((duty) => <p key={duty.name} class="strong-bad" lang="en">{duty.what} ({duty.error})</p>)}
            </Card>
            <Card title={t("settings.needs")} note={t("settings.needs.note")}>
              <ul class="plain rows">
                {data.needs.map((need) => <li key={need.name}><span><strong lang="en">{need.name}</strong> <span class="muted small-text" lang="en">{need.problem ?? need.purpose}</span></span><Pill tone={need.ok ? "good" : "bad"}>{need.ok ? t("settings.ok") : t("settings.missing")}</Pill></li>)}
              </ul>
            </Card>
          </>
        )}
      </Shown>
      {clock.data && (
        <Card title={t("settings.clock")}>
          <p>{fully(clock.data.clock.time)} <Pill tone={clock.data.clock.trusted ? "good" : "bad"}>{clock.data.clock.trusted ? t("clock.trusted") : t("clock.doubted")}</Pill></p>
          {clock.data.clock.problem && <p class="strong-bad" lang="en">{clock.data.clock.problem}</p>}
          {!clock.data.clock.trusted && may("clock-accept") && <button type="button" class="plain" onClick={() => setAccepting(true)}>{t("clock.accept")}</button>}
          {accepting && <Confirm title={t("clock.accept")} action={t("clock.accept")} close={() => setAccepting(false)} run={async () => { await post("/api/v1/clock/accept", {}); clock.reload(); }}><p>{t("clock.accept.text")}</p></Confirm>}
        </Card>
      )}
      {may("alert-test") && (
        <Card title={t("settings.channels")} note={t("settings.channels.note")}>
          <div class="actions">
            <Action run={async () => { jobStarted((await post("/api/v1/alert-tests", {})).job); say(t("settings.channels.sent")); }}>{t("settings.channels.test")}</Action>
            <CopyCommand command="muletto alert test" />
          </div>
        </Card>
      )}
    </>
  );
}
