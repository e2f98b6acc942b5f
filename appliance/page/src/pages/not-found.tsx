import { t } from "../lib/language";
import { Empty, Head } from "../parts/basics";

export function NotFound() {
  return (
    <>
      <Head title={t("missing.title")} />
      <Empty title={t("missing.text")}><a href="#/">{t("missing.back")}</a></Empty>
    </>
  );
}
