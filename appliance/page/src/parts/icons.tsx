// Line drawings on a grid of 16.
const drawings = {
  overview: "M2.5 7.5 8 3l5.5 4.5V13a.5.5 0 0 1-.5.5H9.5v-4h-3v4H3a.5.5 0 0 1-.5-.5z",
  machines: "M3 3h10v4H3zM3 9h10v4H3zM5 5h.01M5 11h.01",
  vms: "M2.5 3.5h11v7h-11zM6 13.5h4M8 10.5v3M7 5.5l3 1.5-3 1.5z",
  tests: "M3 8.5 6.5 12 13 4.5",
  jobs: "M3 4h10M3 8h7M3 12h4M13 10v3M11.5 11.5h3",
  alerts: "M8 2.5c-2.5 0-4 1.8-4 4v2.5L2.8 11h10.4L12 9V6.500c0-2.200-1.500-4-4-4zM6.500 13.300c.8.6 2.200.6 3 0",
  policies: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM8 5v3l2 1.500",
  hosts: "M3 10h10v3H3zM4.500 10V4h7v6M10.500 11.500h.01",
  storage: "M3 4.500c0-1 2.200-2 5-2s5 1 5 2v7c0 1-2.200 2-5 2s-5-1-5-2zM3 4.500c0 1 2.200 2 5 2s5-1 5-2M3 8c0 1 2.200 2 5 2s5-1 5-2",
  reports: "M4 2.500h5.500L12.500 5.500v8H4zM6 8h4.500M6 10.500h4.500",
  access: "M6 10.500a3 3 0 1 1 2.700-4.300H14v2.300h-1.500v2h-2v-2H8.700A3 3 0 0 1 6 10.500zM5.500 7.500h.01",
  settings: "M3 4.500h6M12 4.500h1M3 11.500h1M7 11.500h6M10.500 3v3M5.500 10v3",
  search: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.500 10.500l3 3",
  menu: "M3 4.500h10M3 8h10M3 11.500h10",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.500 5.500h7v7h-7zM3.500 10.500v-7h7",
  folder: "M2.500 4h4l1.500 1.500h5.500v7h-11z",
  file: "M4 2.500h5.500L12.500 5.500v8H4zM9 2.500V6h3.500",
  next: "M6 3.500 10.500 8 6 12.500",
  warning: "M8 2.500 14 13H2zM8 6.500v3M8 11.200v.01",
  lock: "M4 7.500h8v6H4zM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500",
  out: "M9.500 3H4v10h5.500M7 8h7M11.500 5.500 14 8l-2.500 2.500",
  bolt: "M9 2 3.500 9H8l-1 5 5.500-7H8z",
} as const;

export type IconName = keyof typeof drawings;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={drawings[name]} fill="none" stroke="currentColor" stroke-width="1.35" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
