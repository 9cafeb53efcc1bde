import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct RunPageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// What people and their files may be called.
    private static let hostile = [
        "</title><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
        "&amp;<b>", "\u{202E}txt.exe", String(repeating: "long-without-a-space", count: 20),
        "한국어\u{0}\u{1B}[31m",
    ]

    /// A run as a record has it, in which every text is hostile.
    private func history(_ run: String, steps: Int = 60, isHostile: Bool = true) throws -> RunHistory {
        let names = isHostile ? Self.hostile : ["plain"]
        func name(_ index: Int) -> String { names[index % names.count] }
        let sources = (0..<3).map { name($0) + " \($0)" }
        var lines: [JSON] = [
            [
                "event": "began", "step": 0, "time": .string(isHostile ? name(1) : "2026-11-28T10:00:00Z"),
                "model": .string("/models/\(name(0))"), "output": .string("/models/\(name(1))"),
                "tool": .string(name(2)), "threads": 2, "parameters": 12_345_678,
                "trained_parameters": 1_234_567,
                "steps": JSON(steps),
                "stages": [[name(3): .string(name(4)), "lr": 5e-05, "steps": JSON(steps)]],
                "memory": ["weights": 4_000_000, "moments": 2_000_000],
                "asked": ["healed-by": [.string(names[0])]],
                "sources": .array(
                    sources.map {
                        ["name": .string($0), "path": .string($0), "weight": 1, "replay": true, "size": 99]
                    }),
                "groups": [
                    [
                        "stage": .string(name(2)), "name": .string(name(3)), "tensors": 2, "parameters": 64,
                        "rate": 2.0,
                    ],
                    ["name": "no rule", "tensors": 3, "parameters": 96, "frozen": true],
                ],
                "surgery": [
                    ["name": .string(name(5)), "parameters": [name(6): .string(name(0))]],
                    ["name": "dus", "parameters": ["to": 12]],
                ],
                "warnings": .array(names.map { .string($0) }),
            ]
        ]
        let sets = names + ["other"]
        lines += sets.map { set in
            [
                "event": "parent", "step": 0, "model": .string(name(4)), "set": .string(set),
                "result": ["loss": 2.5, "perplexity": 9, "bits_per_byte": 3.5, "tokens": 5, "bytes": 7],
            ]
        }
        func evaluation(_ step: Int, _ bits: Double) -> [JSON] {
            sets.map { set in
                [
                    "event": "evaluated", "step": JSON(step), "set": .string(set),
                    "result": [
                        "loss": JSON(bits), "perplexity": 9, "bits_per_byte": JSON(bits), "tokens": 5,
                        "bytes": 7,
                    ],
                ]
            }
        }
        lines += evaluation(0, 4)
        for step in 1...steps {
            if step == 10 { lines += evaluation(10, 3.25) }
            let figures = Dictionary(
                uniqueKeysWithValues: sources.map {
                    (
                        $0,
                        SourceFigures(
                            passes: 0.01 * Double(step), coverage: 0.01 * Double(step), tokens: 20 * step)
                    )
                })
            lines.append(
                try JSON(
                    encoding: StepReport(
                        step: step, loss: 4 - Double(step) / 40 + (step % 2 == 0 ? 0.1 : 0),
                        tokens: 60 * step,
                        lr: 1e-3 * Double(steps - step + 1), gradNorm: 2, seconds: 0.5, sources: figures)))
        }
        lines += evaluation(steps, 3)
        lines.append([
            "event": "stage", "step": 20, "number": 2, "count": 3, "title": .string(name(1)),
        ])
        lines.append([
            "event": "skipped", "step": 30, "reason": .string(name(2)), "documents": .string(name(0)),
        ])
        lines.append(["event": "rolled_back", "step": JSON(steps), "from": 55, "reason": .string(name(2))])
        lines.append([
            "event": "drifted", "step": JSON(steps),
            "parts": [
                ["part": "embedding", "rows": "old", "parameters": 8, "distance": 0, "norm": 5],
                [
                    "part": "layer 0", "layer": 0, "origin": "original", "parameters": 9, "distance": 0.5,
                    "norm": 5,
                ],
                [
                    "part": "layer 1", "layer": 1, "origin": "duplicate", "parameters": 9, "distance": 1,
                    "norm": 5,
                ],
                [
                    "part": .string(isHostile ? name(0) : "head"), "rows": "new", "parameters": 9,
                    "distance": 2, "norm": 0,
                ],
            ],
        ])
        lines.append([
            "event": "exposed", "step": JSON(steps),
            "tokens": [
                "tokens": 40,
                "bands": [
                    ["least": 0, "most": 0, "tokens": 4], ["least": 1, "most": 9, "tokens": 30],
                    ["least": 1_000, "tokens": 6],
                ],
                "rarest": .array(
                    names.map { ["id": 7, "text": .string($0), "targets": 0, "inputs": 1] }),
            ],
        ])
        lines.append(["event": "kept", "step": 20, "memory_bytes": 5_000_000])
        lines.append(["event": "not_kept", "step": 40, "reason": .string(name(3))])
        var again = lines[0]
        (again["event"], again["step"]) = ("resumed", 40)
        lines.append(again)
        lines.append(["event": "ended", "step": 60, "reason": .string(name(0))])
        let text = lines.map { line in
            var line = line
            line["run"] = .string(run)
            return String(decoding: line.serialized(indent: nil), as: UTF8.self)
        }.joined(separator: "\n")
        return try RunHistory.read(folder.write("\(run).jsonl", text + "\n"))
    }

    private func page(_ runs: [RunHistory], parents: [(String, EvaluationResult)] = []) -> String {
        String(
            decoding: RunPage(runs, parents: parents.map { (set: $0.0, result: $0.1) }).html, as: UTF8.self)
    }

    private func pages() throws -> [String] {
        let parent = EvaluationResult(sum: 10, tokens: 5, bytes: 7)
        return [
            page([try history("a")], parents: [(Self.hostile[0], parent)]),
            page([try history("b"), try history("c", steps: 30, isHostile: false)]),
            page([try history("d", isHostile: false)]),
            page([try history("e", steps: 1)]),
        ]
    }

    /// Whatever files hold, a page has the elements and attributes that this project wrote, closed in order.
    @Test func textFromFilesIsText() throws {
        let known: Set<String> = [
            "html", "head", "meta", "title", "style", "body", "a", "header", "p", "h1", "h2", "h3", "div",
            "dl", "dt", "dd",
            "nav", "ul", "li", "main", "section", "figure", "svg", "desc", "path", "span", "strong", "small",
            "b", "bdi",
            "table", "caption", "thead", "tbody", "tr", "th", "td", "time",
        ]
        for page in try pages() {
            let body = page.replacing(/<style>(?s:.)*?<\/style>/, with: "<style></style>")
            var open: [Substring] = []
            var ids: Set<Substring> = []
            for tag in body.matches(of: /<(\/?)([a-z0-9!A-Z]+)([^>]*)>/) where tag.2 != "!DOCTYPE" {
                #expect(known.contains(String(tag.2)), "\(tag.0)")
                #expect(!tag.3.contains(" on") && !tag.3.contains("src"), "\(tag.0)")
                if tag.1 == "/" {
                    #expect(open.popLast() == tag.2, "\(tag.0)")
                } else if tag.2 != "meta", !tag.3.hasSuffix("/") {
                    open.append(tag.2)
                }
                if let id = tag.3.firstMatch(of: /\ id="([^"]*)"/) {
                    #expect(ids.insert(id.1).inserted, "\(id.1)")
                }
            }
            #expect(open.isEmpty)
            for label in body.matches(of: /(?:aria-labelledby|href)="#?([^"]*)"/) {
                for id in label.1.split(separator: " ") { #expect(ids.contains(id), "\(id)") }
            }
            #expect(!page.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
            // Nothing comes from elsewhere.
            #expect(!page.contains("http") && !page.contains("url(") && !page.contains("@import"))
        }
    }

    /// Headings in order, a caption and scopes in every table, a title and words in every picture, and a table beside it.
    @Test func canBeReadWithoutSeeing() throws {
        for page in try pages() {
            var level = 0
            for heading in page.matches(of: /<h([1-6])/) {
                let next = try #require(Int(heading.1))
                #expect(next <= level + 1)
                level = next
            }
            #expect(page.matches(of: /<h1/).count == 1)
            let tables = page.matches(of: /<table>\n<caption>/).count
            #expect(tables == page.matches(of: /<table/).count)
            #expect(page.matches(of: /<th[ >]/).count == page.matches(of: /<th scope="(col|row)"/).count)
            let pictures = page.matches(of: /<svg/).count
            #expect(pictures >= 5 && pictures <= tables)
            #expect(
                page.matches(of: /role="img" aria-labelledby="[a-z0-9-]+-title [a-z0-9-]+-words">\n<title id/)
                    .count
                    == pictures)
            #expect(page.matches(of: /<desc id="[a-z0-9-]+-words">[^<]/).count == pictures)
            #expect(page.contains("<html lang=\"en\">") && page.contains("width=device-width"))
        }
    }

    @Test func saysWhatTheRunDid() throws {
        let page = page(
            [try history("a", isHostile: false)],
            parents: [("plain", EvaluationResult(sum: 3.5 * 7 * log(2), tokens: 5, bytes: 7))])
        for words in [
            "Training report</p>", "<dd>stopped after step 60</dd>", "<dd>12.35 M, 1.235 M trained</dd>",
            "−25.0 %",
            // From 4 to 3 where the parent is at 3.5.
            "<td class=\"number\">200.0 %</td>", "warning: no checkpoint was kept: plain",
            "<dt>to</dt><dd>12</dd>",
            "<th scope=\"row\">lr</th>", "5e-05", "2026-11-28 10:00:00 UTC",
            "stage 2 of 3: plain", "warning: the step was left out: plain (documents: plain)",
            "warning: gone back from step 55: plain",
            // The embedding's old rows stayed; layer 1 is a copy; the head's new rows were zero.
            "embedding, old rows</th>\n<td class=\"number\">0</td>\n<td class=\"number\">0 %</td>",
            "layer 1 <small>new</small></th>\n<td class=\"number\">1.000</td>\n<td class=\"number\">20.0 %</td>",
            "from zero", "class=\"level\"",
            "never</th>\n<td class=\"number\">4</td>\n<td class=\"number\">10.0 %</td>",
            "1,000 times or more", "<td class=\"number\">frozen</td>", "beside its parent <bdi>plain</bdi>",
        ] { #expect(page.contains(words), "\(words)") }
        // No markup of the page's own was taken for text.
        #expect(
            !page.contains("&quot;") && !page.contains("&lt;")
                && page.contains("<th scope=\"col\" class=\"number\">"))
        let both = self.page([
            try history("b", isHostile: false), try history("c", steps: 30, isHostile: false),
        ])
        #expect(both.contains("run1\">B</b>") && both.contains("steps <small>differs</small>"))
        #expect(both.contains("Run A: the loss goes from"))
        #expect(both.contains("<bdi>plain</bdi>: bits per byte by step</caption>"))
    }

    /// The steps that were taken again count once, as they were taken last; so do their evaluations.
    @Test func whatWasTakenBackIsForgotten() throws {
        func step(_ step: Int, _ loss: Double) throws -> JSON {
            try JSON(
                encoding: StepReport(
                    step: step, loss: loss, tokens: step, lr: 1, gradNorm: 1, seconds: 1, sources: [:]))
        }
        func evaluation(_ step: Int, _ bits: Double) -> JSON {
            let result: JSON = [
                "loss": 1, "perplexity": 9, "bits_per_byte": JSON(bits), "tokens": 5, "bytes": 7,
            ]
            return ["event": "evaluated", "step": JSON(step), "set": "en", "result": result]
        }
        let lines = try [
            evaluation(0, 4), step(1, 9), step(2, 8), evaluation(2, 3), step(3, 7),
            ["event": "rolled_back", "step": 1, "from": 3, "reason": "the loss is 99"], step(2, 6),
            evaluation(2, 2), step(3, 5), step(4, 4), step(4, 3),
        ].map { line in
            var line = line
            line["run"] = "a"
            return String(decoding: line.serialized(indent: nil), as: UTF8.self)
        }
        let history = try RunHistory.read(folder.write("back", lines.joined(separator: "\n")))
        #expect(history.steps.map(\.loss) == [9, 6, 5, 3] && history.steps.map(\.step) == [1, 2, 3, 4])
        #expect(history.evaluations.map(\.result.bitsPerByte) == [4, 2])
        let page = page([history])
        #expect(page.contains("gone back from step 3: the loss is 99") && page.contains("mark rolled-back"))
    }

    /// Two runs are compared where both need as much of the new set; the old one is that of the replayed source.
    @Test func forgettingIsComparedAtEqualAdaptation() throws {
        func history(_ run: String, _ evaluations: [(step: Int, old: Double, new: Double)]) throws
            -> RunHistory
        {
            var lines: [JSON] = [
                [
                    "event": "began", "step": 0,
                    "sources": [["name": "en", "replay": true], ["name": "ko", "replay": false]],
                ]
            ]
            for evaluation in evaluations {
                for (set, bits) in [("en", evaluation.old), ("ko", evaluation.new)] {
                    lines.append([
                        "event": "evaluated", "step": JSON(evaluation.step), "set": .string(set),
                        "result": [
                            "loss": 1, "perplexity": 9, "bits_per_byte": JSON(bits), "tokens": 5, "bytes": 7,
                        ],
                    ])
                }
            }
            let text = lines.map { line in
                var line = line
                line["run"] = .string(run)
                return String(decoding: line.serialized(indent: nil), as: UTF8.self)
            }
            return try RunHistory.read(folder.write(run, text.joined(separator: "\n")))
        }
        let one = try history("one", [(0, 1, 3), (5, 1.25, 2), (9, 1.5, 1)])
        let other = try history("other", [(0, 1, 3), (9, 1.0625, 2.5)])
        let both = page([one, other])
        #expect(both.contains("en</bdi> forgotten for <bdi>ko</bdi> learned</h3>"))
        #expect(
            both.contains(
                "where all need 2.5000 of <bdi>ko</bdi></th>\n<td class=\"number\">+0.1250</td>"
                    + "\n<td class=\"number\">+0.0625</td>"))
        #expect(!page([one]).contains("id=\"forgetting\""))
    }

    /// A log has the steps alone.
    @Test func aLogIsEnough() throws {
        let log = try history("a", isHostile: false).steps.map { step -> String in
            var line = try JSON(encoding: step)
            line["run"] = "a"
            return line.text
        }
        let page = page([try RunHistory.read(folder.write("log", log.joined(separator: "\n")))])
        #expect(page.contains("run a") && page.contains("Loss by step") && !page.contains("id=\"job\""))
    }

    @Test func ticksAreRound() {
        #expect(CurveChart.ticks(0, 1_000) == [0, 200, 400, 600, 800, 1_000])
        #expect(CurveChart.ticks(2.9, 4.1).map { ($0 * 10).rounded() / 10 } == [3, 3.2, 3.4, 3.6, 3.8, 4])
        #expect(CurveChart.ticks(0, 5e-5).count == 6 && CurveChart.ticks(3, 3) == [3])
    }

    // MARK: In a browser

    private static let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    /// In a browser no page is wider than its window, on a phone, a tablet and a desk, and no text becomes an element.
    @Test(.enabled(if: browser != nil, "no Chromium is installed"))
    func opensInABrowser() throws {
        let browser = try #require(Self.browser)
        let (widths, pages) = ([360, 768, 1_280], try pages())
        let frames = widths.flatMap { width in
            pages.map {
                "<iframe width=\"\(width)\" height=\"900\" srcdoc=\"\(Markup.escaped($0))\"></iframe>"
            }
        }
        let path = try folder.write(
            "frames.html",
            """
            <!DOCTYPE html><meta charset="utf-8"><style>iframe { border: 0 }</style>\(frames.joined())
            <script>
            addEventListener("load", () => {
              document.body.innerHTML = [...document.querySelectorAll("iframe")].map(frame => {
                const page = frame.contentDocument
                return [page.documentElement.clientWidth, page.documentElement.scrollWidth, page.querySelectorAll("section").length,
                  page.querySelectorAll("script, img").length].join(" ")
              }).join("; ")
            })
            </script>
            """)
        let process = Process()
        process.executableURL = URL(filePath: browser)
        process.arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--user-data-dir=\(folder.path("profile"))", "--dump-dom", "file://\(path)",
        ]
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let found = text.matches(of: /(\d+) (\d+) (\d+) (\d+)/)
        #expect(found.count == frames.count, "\(text.prefix(500))")
        for figures in found {
            #expect(figures.1 == figures.2, "\(figures.0)")
            #expect(try #require(Int(figures.3)) >= 4 && figures.4 == "0", "\(figures.0)")
        }
    }
}
