// Signing in, and the first start of an appliance that has no people yet.
import { useState } from "preact/hooks";
import { begin, CodeNeeded, endedElsewhere, hasSessions, makeFirstOwner, signIn, standing } from "../api/session";
import { choose, type Language, language, languageNames, t } from "../lib/language";
import { Field, Text, Trouble } from "../parts/basics";

export function SignIn() {
  // A first owner is missing, but somebody may have an operator's token.
  const [byToken, setByToken] = useState(false);
  const first = standing.value === "first-start" && !byToken;
  return (
    <main class="alone">
      <div class="sign-in">
        <div class="mark"><img src="/page/icon.svg" alt="" width="36" height="36" /><span>Muletto</span></div>
        {first ? <FirstStart useToken={() => setByToken(true)} /> : <Words startsWithToken={byToken} />}
        <LanguageChoice />
      </div>
    </main>
  );
}

function LanguageChoice() {
  return (
    <label class="language">
      <span class="hidden">{t("settings.language")}</span>
      <select value={language.value} onChange={(event) => choose(event.currentTarget.value as Language)}>
        {Object.entries(languageNames).map(([code, name]) => <option key={code} value={code} lang={code}>{name}</option>)}
      </select>
    </label>
  );
}

function useSubmit(work: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, submit };
}

function Words({ startsWithToken }: { startsWithToken: boolean }) {
  const [byToken, setByToken] = useState(startsWithToken || !hasSessions.value);
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [token, setToken] = useState("");
  const [wantsCode, setWantsCode] = useState(false);
  const { busy, error, submit } = useSubmit(async () => {
    try {
      await signIn(byToken ? { token: token.trim() } : { user, password, ...(wantsCode ? { code } : {}) });
    } catch (failure) {
      if (!(failure instanceof CodeNeeded) || wantsCode) throw failure;
      setWantsCode(true);
    }
  });
  return (
    <form onSubmit={submit}>
      <h1>{t("signin.title")}</h1>
      {endedElsewhere.value && <p class="note" role="status">{t("signin.ended")}</p>}
      {byToken ? (
        <Field label={t("signin.token")} hint={<>{t("signin.token.hint")} <code>muletto token create --for operator</code></>}>
          <Text value={token} set={setToken} type="password" name="token" autoFocus required />
        </Field>
      ) : (
        <>
          <Field label={t("signin.user")}><Text value={user} set={setUser} name="user" autocomplete="username" autoFocus required /></Field>
          <Field label={t("signin.password")}><Text value={password} set={setPassword} type="password" name="password" autocomplete="current-password" required /></Field>
          {wantsCode && <Field label={t("signin.code")} hint={t("signin.code.hint")}><Text value={code} set={setCode} name="code" inputMode="numeric" autocomplete="one-time-code" autoFocus required /></Field>}
        </>
      )}
      {error && <Trouble error={error} />}
      <button type="submit" class="main" disabled={busy} aria-busy={busy}>{t("signin.action")}</button>
      <button type="button" class="quiet switch-way" onClick={() => setByToken(!byToken)}>{byToken ? t("signin.by-password") : t("signin.by-token")}</button>
    </form>
  );
}

function FirstStart({ useToken }: { useToken: () => void }) {
  const [code, setCode] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const { busy, error, submit } = useSubmit(() => makeFirstOwner(code.trim(), user, password));
  return (
    <form onSubmit={submit}>
      <h1>{t("setup.title")}</h1>
      <p class="note">{t("setup.text")}</p>
      <Field label={t("setup.code")} hint={<>{t("setup.code.hint")} <code>muletto setup code</code></>}><Text value={code} set={setCode} name="setup-code" autoFocus required /></Field>
      <Field label={t("signin.user")}><Text value={user} set={setUser} name="user" autocomplete="username" required /></Field>
      <Field label={t("signin.password")} hint={t("setup.password.hint")}><Text value={password} set={setPassword} type="password" name="password" autocomplete="new-password" required /></Field>
      {error && <Trouble error={error} />}
      <button type="submit" class="main" disabled={busy} aria-busy={busy}>{t("setup.action")}</button>
      <button type="button" class="quiet switch-way" onClick={useToken}>{t("signin.by-token")}</button>
      <button type="button" class="quiet" onClick={() => { standing.value = "signed-out"; void begin(); }}>{t("action.retry")}</button>
    </form>
  );
}
