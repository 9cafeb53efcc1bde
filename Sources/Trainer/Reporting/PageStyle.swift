/// How a page looks: one family of type in four sizes, figures of equal width, light and dark.
enum PageStyle {
    static let text: Markup = """
        :root {
          color-scheme: light dark;
          --ground: #ffffff; --ink: #1c1f23; --quiet: #59616b; --line: #dfe3e8; --soft: #f4f6f8;
          --run0: #1f5fa8; --run1: #a8501a; --run2: #1c7a53; --run3: #8a3d8f;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #15181c; --ink: #e8eaed; --quiet: #a4adb8; --line: #333a42; --soft: #1d2126;
            --run0: #6cb0f5; --run1: #f0a367; --run2: #63c99b; --run3: #d795dc;
          }
        }
        .run0 { --run: var(--run0) } .run1 { --run: var(--run1) } .run2 { --run: var(--run2) } .run3 { --run: var(--run3) }
        * { box-sizing: border-box }
        html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth }
        @media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
        body {
          margin: 0 auto; max-width: 76rem; padding: 2rem clamp(1rem, 4vw, 3rem) 5rem;
          background: var(--ground); color: var(--ink);
          font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
          font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
        }
        h1, h2, h3 { line-height: 1.25; font-weight: 650; margin: 0; text-wrap: balance }
        h1 { font-size: 2rem; letter-spacing: -.01em }
        h2 { font-size: 1.375rem; scroll-margin-top: 1rem }
        h3 { font-size: 1rem; margin: 2rem 0 .25rem }
        p { margin: .5rem 0; max-width: 44rem }
        small, .kind, .facts dt, caption, th, .labels, .quiet, nav { font-size: .8125rem }
        .quiet, .kind, .facts dt, caption, thead th, section > p { color: var(--quiet) }
        h1 .quiet { font-size: inherit; font-weight: 400 }
        .kind { margin: 0 0 .25rem }
        a { color: var(--run0); text-underline-offset: .2em }
        :focus-visible { outline: 3px solid var(--run0); outline-offset: 3px; border-radius: 2px }
        .skip { position: absolute; left: -99rem }
        .skip:focus { left: 1rem; top: 1rem; z-index: 1; padding: .5rem 1rem; background: var(--ground) }

        .overview { margin-top: 1.25rem }
        .overview h2 { font-size: 1rem }
        .overview p { margin: 0 }
        .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem 1.5rem; margin: 1rem 0 0 }
        .facts dd { margin: 0; font-size: 1.25rem; line-height: 1.3 }
        nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 1.75rem 0 0; padding: .75rem 0; border-block: 1px solid var(--line) }
        nav a { display: inline-block; padding: .25rem 0 }
        .badge { color: var(--run); font-weight: 700 }
        section { margin-top: 3.5rem }

        .pair { display: grid; gap: 1.5rem 3rem; margin: 1rem 0 0; min-width: 0 }
        .pair > * { min-width: 0 }
        @media (min-width: 56rem) {
          .pair { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr) }
          .pair > :first-child { position: sticky; top: 1rem; align-self: start }
        }
        .pair h3:first-child { margin-top: 0 }

        .plot { position: relative; height: clamp(13rem, 32vw, 20rem); margin: 1.25rem 4.75rem 2rem 3.25rem }
        .plot svg { display: block; width: 100%; height: 100%; overflow: hidden }
        .plot path, .rows path { fill: none; vector-effect: non-scaling-stroke }
        .grid { stroke: var(--line); stroke-width: 1px }
        .behind { stroke: var(--run); stroke-width: 1px; opacity: .35 }
        .curve { stroke: var(--run); stroke-width: 2px; stroke-linejoin: round }
        .curve.run1 { stroke-dasharray: 7 3 } .curve.run2 { stroke-dasharray: 2 3 } .curve.run3 { stroke-dasharray: 9 3 2 3 }
        .mark { stroke: var(--run); stroke-width: 2px }
        .mark.resumed { stroke-width: 1px; stroke-dasharray: 3 4; opacity: .8 }
        .mark.stage { stroke: var(--quiet); stroke-width: 1px; opacity: .6 }
        .mark.skipped, .mark.rolled-back { stroke: var(--ink) }
        .mark.rolled-back { stroke-dasharray: 4 3 }
        .level { stroke: var(--ink); stroke-width: 1px; stroke-dasharray: 6 4; opacity: .8 }
        .plot .dot { stroke-width: 7px }
        .plot.dotted svg { overflow: visible }
        .plot .labels span { position: absolute; white-space: nowrap; line-height: 1 }
        .plot .y { right: calc(100% + .6rem); transform: translateY(-50%); color: var(--quiet) }
        .plot .x { top: calc(100% + .6rem); transform: translateX(-50%); color: var(--quiet) }
        .plot .word { bottom: calc(100% + .2rem); transform: translateX(-50%); color: var(--quiet) }
        .plot .of-level { color: var(--ink); font-weight: 400 }
        .plot .end { left: calc(100% + .5rem); transform: translateY(-50%); color: var(--run); font-weight: 650 }

        .rows { position: relative; margin: .25rem .5rem 0 0 }
        .rows svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible }
        .rows .row { position: absolute; inset-inline: 0; display: flex; justify-content: space-between; gap: 1rem; line-height: 1.4 }
        .rows .what { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
        .rows .figure { flex: none; color: var(--quiet) }
        .rows .figure strong { color: var(--ink); font-weight: 650 }
        .track { stroke: var(--line); stroke-width: 6px; stroke-linecap: round }
        .bar, .way { stroke: var(--run); stroke-width: 6px; stroke-linecap: round }
        .way { opacity: .35 }
        .dot { stroke: var(--run); stroke-width: 13px; stroke-linecap: round }
        .rows .hole { stroke: var(--ground); stroke-width: 7px }
        .yardstick { stroke: var(--ink); stroke-width: 2px }

        .table { overflow-x: auto }
        h2 + .table { margin-top: .75rem }
        .table + .table { margin-top: 1.5rem }
        table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4 }
        caption { text-align: start; padding-bottom: .4rem }
        th, td { padding: .3rem .75rem .3rem 0; text-align: start; vertical-align: top; border-top: 1px solid var(--line) }
        th { font-weight: 400 }
        thead th { border-top: 0 }
        tbody th { font-size: inherit }
        thead th { overflow-wrap: normal }
        .number { text-align: end; white-space: nowrap }
        .steps th:first-child { width: 4.5rem }
        th:last-child, td:last-child { padding-right: 0 }
        td small, th small { color: var(--quiet); border: 1px solid var(--line); border-radius: 3px; padding: 0 .3em }
        time { white-space: nowrap }
        #events ~ .table th.number { width: 5rem }
        .parameters { margin: 0; display: grid; gap: .1rem }
        .parameters div { display: flex; flex-wrap: wrap; gap: 0 .6em }
        .parameters dt { color: var(--quiet) }
        .parameters dd { margin: 0 }
        #job ~ .table tbody th { color: var(--quiet); width: 16rem }

        @media (max-width: 34rem) {
          h1 { font-size: 1.625rem }
          .facts { grid-template-columns: 1fr 1fr }
          .facts dd { font-size: 1.0625rem }
          .plot { margin-left: 2.75rem; margin-right: 4.25rem }
          th, td { padding-right: .3rem }
          table { font-size: .8125rem }
          tbody th:not(.number) { min-width: 4.5rem }
          time { white-space: normal }
          #job ~ .table tbody th { width: 9rem }
        }
        @media print { nav, .skip { display: none } section { break-inside: avoid } }
        """
}
