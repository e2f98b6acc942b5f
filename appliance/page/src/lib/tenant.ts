// Which client is looked at: one, or all that the person may see.
import { signal } from "@preact/signals";

export const tenant = signal<string | undefined>(undefined);
