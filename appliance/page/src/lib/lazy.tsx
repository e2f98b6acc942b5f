// A component whose script is fetched when it is first shown.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Trouble, Waiting } from "../parts/basics";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let known: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, again] = useState(0);
    const [error, setError] = useState<Error>();
    useEffect(() => {
      if (known) return;
      load().then((component) => {
        known = component;
        again((n) => n + 1);
      }, setError);
    }, []);
    if (known) {
      const Known = known;
      return <Known {...props} />;
    }
    // After an update of the appliance the old page's parts are gone: loading it again helps.
    if (error) return <Trouble error={error} retry={() => location.reload()} />;
    return <Waiting what="wait.page" />;
  };
}
