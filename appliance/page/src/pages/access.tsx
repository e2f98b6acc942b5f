// Secrets that let in hosts and operators.
import { useState } from "preact/hooks";
import { post, remove, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { quoted } from "../lib/format";
import { t } from "../lib/language";
import { Action, Card, CopyCommand, Empty, Field, Head, Pill, Shown, Text, Time } from "../parts/basics";
import { Confirm, Dialog } from "../parts/dialog";
import { useTenant } from "../parts/shell";

export function Access() {
  const asked = useAnswer("/api/v1/tokens", {}, { everyMs: 30_000 });
  const [making, setMaking] = useState(false);
  const [going, setGoing] = useState<Schemas["Token"]>();
  return (
    <>
      <Head title={t("nav.access")} note={t("access.note")}>
        {may("token-create") && <button type="button" class="main" onClick={() => setMaking(true)}>{t("access.new")}</button>}
      </Head>
      <Shown asked={asked} what="wait.tokens">
        {(data) => data.tokens.length === 0 ? <Card><Empty title={t("access.none")}>{t("access.none.text")}</Empty></Card> : (
          <Card>
            <div class="scroll" tabIndex={0} role="region" aria-label={t("nav.access")}>
              <table>
                <thead><tr><th>{t("access.what")}</th><th>{t("access.for")}</th><th>{t("access.made")}</th><th>{t("access.expires")}</th><th>{t("access.used")}</th><th><span class="hidden">{t("column.actions")}</span></th></tr></thead>
                <tbody>{data.tokens.map((token) => (
                  <tr key={token.id}>
                    <td><Pill tone={token.kind === "operator" ? "busy" : "quiet"}>{t(`token.${token.kind}`)}</Pill> {token.note} <code class="id muted">{token.id}</code></td>
                    <td>{token.kind === "operator" && !token.tenant_only ? t("access.all") : token.tenant}</td>
                    <td><Time value={token.created} /></td>
                    <td>{token.expires ? <Time value={token.expires} exact /> : t("access.never")}</td>
                    <td>{token.used ? <Time value={token.used} /> : "–"}</td>
                    <td class="number">{may("token-revoke") && <button type="button" class="quiet small danger-text" onClick={() => setGoing(token)}>{t("access.revoke")}</button>}</td>
                  </tr>
                ))}</tbody>
              </table>
            </div>
          </Card>
        )}
      </Shown>
      {making && <Make close={() => { setMaking(false); asked.reload(); }} />}
      {going && (
        <Confirm title={t("access.revoke")} action={t("access.revoke")} danger close={() => setGoing(undefined)} run={async () => { await remove("/api/v1/tokens/{id}", { path: { id: going.id } }); asked.reload(); }}>
          <p>{t("access.revoke.text", { note: going.note || going.id })}</p>
          <CopyCommand command={`muletto token revoke ${going.id}`} />
        </Confirm>
      )}
    </>
  );
}

function Make({ close }: { close: () => void }) {
  const tenant = useTenant();
  const [note, setNote] = useState("");
  const [expires, setExpires] = useState("90d");
  const [only, setOnly] = useState(false);
  const [made, setMade] = useState<Schemas["NewToken"]>();
  return (
    <Dialog title={t("access.new")} close={close}>
      {made ? (
        <>
          <p>{t("access.once")}</p>
          <pre class="log command" tabIndex={0}>{made.token}</pre>
          <div class="dialog-actions"><button type="button" class="main" onClick={close}>{t("action.close")}</button></div>
        </>
      ) : (
        <form onSubmit={(event) => event.preventDefault()}>
          <Field label={t("access.note.field")}><Text value={note} set={setNote} maxLength={255} autoFocus /></Field>
          <Field label={t("access.expires")} hint={<span lang="en">30d, 90d, never</span>}><Text value={expires} set={setExpires} /></Field>
          <label class="check"><input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} />{t("access.only", { tenant: tenant ?? "" })}</label>
          <CopyCommand command={`muletto token create --for operator --expires ${expires} --note ${quoted(note || "…")}${only && tenant ? ` --tenant ${tenant}` : ""}`} />
          <div class="dialog-actions"><Action tone="main" run={async () => setMade((await post("/api/v1/tokens", { query: { tenant: only ? tenant : undefined } }, { kind: "operator", expires, note })).token)}>{t("access.new")}</Action></div>
        </form>
      )}
    </Dialog>
  );
}
