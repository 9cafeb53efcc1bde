import Foundation
import TestSupport
import Testing

@testable import Formats
@testable import Trainer

@Suite struct KoreanParticleTests {
    @Test(arguments: [
        ("서울", "은/는", "은"), ("한국어", "은/는", "는"), ("나무", "이/가", "가"), ("책", "이/가", "이"),
        ("서울", "으로/로", "로"), ("부산", "으로/로", "으로"), ("대구", "으로/로", "로"), ("물", "을/를", "을"),
        ("사과", "과/와", "와"), ("쌀", "과/와", "과"), ("부산", "이다/다", "이다"), ("의자", "이다/다", "다"),
        // What stands in brackets, quotes and punctuation do not count.
        ("서울(Seoul)", "은/는", "은"), ("「나무」", "은/는", "는"), ("책 (도서)", "이/가", "이"), ("(책)", "이/가", "이"),
        // In parts, as macOS writes it.
        ("서울".decomposedStringWithCanonicalMapping, "으로/로", "로"),
        ("부산".decomposedStringWithCanonicalMapping, "으로/로", "으로"),
        ("대구".decomposedStringWithCanonicalMapping, "은/는", "는"),
        // Numbers in Sino-Korean: 일, 이, 삼, 칠, 영, 십, 백, 천, 억, 조, 경.
        ("1", "으로/로", "로"), ("2", "은/는", "는"), ("3", "은/는", "은"), ("2017", "으로/로", "로"), ("0", "은/는", "은"),
        ("10", "으로/로", "으로"), ("1,000", "은/는", "은"), ("100000000", "이/가", "이"),
        ("1000000000000", "이/가", "가"), ("1,000,000,000,000", "이/가", "가"), ("10000000000000000", "이/가", "이"),
        ("000000000000", "이/가", "이"), ("50%", "을/를", "를"), ("20℃", "이/가", "가"),
        // Capital letters by their names: 엘, 엠, 엔, 알; all others end in a vowel.
        ("SQL", "으로/로", "로"), ("FM", "은/는", "은"), ("CNN", "으로/로", "으로"), ("KBS", "은/는", "는"),
        ("HR", "으로/로", "로"),
        ("iOS 17", "은/는", "은"), ("A4", "은/는", "는"),
    ])
    func takesTheFormOfTheLastSound(_ word: String, _ name: String, _ form: String) throws {
        #expect(try #require(KoreanParticle(named: name)).form(after: word) == form)
    }

    @Test(arguments: [
        ("Google", "은/는", "은(는)"), ("iPhone", "을/를", "을(를)"), ("東京", "으로/로", "(으)로"), ("あ", "이다/다", "(이)다"),
        ("", "과/와", "과(와)"), ("…", "이/가", "이(가)"), ("café", "이라고/라고", "(이)라고"), ("km²", "이에요/예요", "이에요(예요)"),
    ])
    func writesBothFormsWhereLettersDoNotTell(_ word: String, _ name: String, _ both: String) throws {
        let particle = try #require(KoreanParticle(named: name))
        #expect(particle.form(after: word) == nil && particle.undecided == both)
    }

    @Test func knowsNoOthers() {
        #expect(KoreanParticle(named: "는/은") == nil && KoreanParticle(named: "의") == nil)
        #expect(KoreanParticle.names.allSatisfy { KoreanParticle(named: $0) != nil })
    }
}

@Suite struct TripleTemplateTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func putsIn() throws {
        let triple = Triple(subject: "서울", relation: "수도", object: "대한민국")
        let template = try TripleTemplate("{{{subject:은/는}}} {object}의 수도이다.")
        #expect(template.sentence(of: triple) == ("{서울은} 대한민국의 수도이다.", 0))
        let open = try TripleTemplate("{object:을/를} {subject:이/가}")
        #expect(open.sentence(of: Triple(subject: "x", relation: "r", object: "Y")) == ("Y를 x이(가)", 1))
    }

    @Test(arguments: [
        ("{subject} and {predicate}", "{predicate} is not known"), ("{subject:는/은}", "'는/은' is not known"),
        ("no place", "neither"), ("{subject", "a brace stands alone"), ("subject}", "a brace stands alone"),
        ("{subject:}", "'' is not known"), ("{ subject}", "{ subject} is not known"),
    ])
    func refuses(_ text: String, _ reason: String) throws {
        #expect(throws: TripleTemplate.Fault.self) { try TripleTemplate(text) }
        let path = try folder.write("t.tsv", "relation\ttemplate\nr\t{object}\nr\t\(text)\n")
        let error = #expect(throws: UserFacingError.self) { try TripleTemplates(path: path) }
        #expect(error?.message.contains("t.tsv, line 3") == true && error?.message.contains(reason) == true)
    }

    @Test func readsAllKinds() throws {
        let yaml = try folder.write(
            "t.yaml", "수도:\n  - '{subject} 1'\n  - \"{object} 2\"\nborn in: 'in {object}'\n")
        let lines = try folder.write(
            "t.jsonl",
            """
            {"relation": "수도", "template": "{subject} 1"}
            {"relation": "born in", "template": "in {object}"}
            {"relation": "수도", "template": "{object} 2"}
            """)
        for path in [yaml, lines] {
            let templates = try TripleTemplates(path: path)
            #expect(templates.most == 2 && templates.relations == ["born in", "수도"])
            // Of a relation in parts, too.
            let triple = Triple(
                subject: "s", relation: "수도".decomposedStringWithCanonicalMapping, object: "o")
            let both = (0..<3).compactMap { templates.sentence(of: triple, wording: $0, seed: 1)?.text }
            #expect(Set(both) == ["s 1", "o 2"] && both[0] == both[2])
            #expect(
                templates.sentence(of: Triple(subject: "s", relation: "x", object: "o"), wording: 0, seed: 1)
                    == nil)
        }
        let seeds = Set(
            try (0..<20).compactMap {
                try TripleTemplates(path: yaml).sentence(
                    of: Triple(subject: "s", relation: "수도", object: "o"), wording: 0, seed: $0)?.text
            })
        #expect(seeds.count == 2)
    }

    @Test(arguments: [
        ("a: [1]\n", "as a template for 'a'"), ("a: {subject}\n", "in quotes"),
        ("- a\n", "no mapping"),
        ("a: []\n", "no template for 'a'"), ("a: ['{object}', '{object}']\n", "stands there twice"),
    ])
    func refusesOtherYAML(_ text: String, _ reason: String) throws {
        let path = try folder.write("t.yaml", text)
        let error = #expect(throws: UserFacingError.self) { try TripleTemplates(path: path) }
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }
}

@Suite struct SyntheticTextTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            "t.yaml",
            "capital:\n- '{subject:은/는} {object}의 수도이다.'\n- '{object}의 수도는 {subject:이다/다}.'\nnear: '{subject} is near {object}.'\n"
        )
    }

    private func settings(
        _ triples: [String], _ change: (inout SelectionSettings) -> Void = { _ in }
    ) -> SelectionSettings {
        var settings = SelectionSettings()
        if !triples.isEmpty {
            settings.triples = TripleText(files: triples, templates: folder.path("t.yaml"))
        }
        change(&settings)
        return settings
    }

    private func select(
        _ files: [String] = [], _ settings: SelectionSettings, threads: Int = 2, partSize: Int = 200,
        as name: String = "o.jsonl"
    ) throws -> SelectionReport {
        try TextSelection(of: files, settings, threads: threads, tool: "test", partSize: partSize)
            .write(to: folder.path(name))
    }

    private func lines(_ name: String = "o.jsonl") throws -> [JSON] {
        try String(decoding: folder.bytes(name), as: UTF8.self).split(separator: "\n").map {
            try JSON(parsing: Array($0.utf8), file: name)
        }
    }

    @Test func makesADocumentOfEachSubject() throws {
        let decomposed = "부산".decomposedStringWithCanonicalMapping
        let path = try folder.write(
            "a.tsv",
            "\n부산\tnear\t울산\r\n\(decomposed)\tnear\t대구\n부산\tnear\t울산\n서울\tnear\t\"인천\"\nSeoul\tcapital\tKorea\n"
        )
        let report = try select([], settings([path]))
        let lines = try lines()
        #expect(
            lines.compactMap { $0["text"]?.string }.prefix(2)
                == ["부산 is near 울산. 부산 is near 대구.", "서울 is near \"인천\"."])
        #expect(lines.count == 3 && lines.allSatisfy { $0["synthetic"]?.string == "triples" })
        #expect(lines.map { $0["triples"]?.int } == [2, 1, 1])
        #expect(["Seoul은(는) Korea의 수도이다.", "Korea의 수도는 Seoul(이)다."].contains(lines[2]["text"]?.string))
        #expect(report.triples == TripleFigures(triples: 4, repeated: 1, undecided: 1))
        #expect(report.warnings.contains { $0.contains("both forms") })
        #expect(report.synthetic.map(\.name) == ["triples"] && report.synthetic[0].kept == 3)
        #expect(report.syntheticShare == 1)
        // What is said of a line of the text holds of the triples.
        let ledger = try SelectionLedger(path: folder.path("o.jsonl.ledger"))
        let fates = try (0..<ledger.count).map { try ledger.fate(of: $0) }
        #expect(
            fates.map(\.line) == [2, 5, 6]
                && fates.allSatisfy { $0.file == path && $0.synthesis == "triples" })
        #expect(try ledger.number(of: "\(path):5") == 1)
        #expect(try !folder.names().contains("o.jsonl.run"))
    }

    @Test func makesWordings() throws {
        let path = try folder.write("a.tsv", "서울\tcapital\t대한민국\n서울\tnear\t인천\n도쿄\tnear\t요코하마\n")
        let report = try select([], settings([path]) { $0.triples?.wordings = nil })
        let texts = try lines().compactMap { $0["text"]?.string }
        // The other wording of what has one template alone is a copy.
        #expect(texts.count == 3 && Set(texts).count == 3)
        #expect(report.reasons.first { $0.name == "duplicate_document" }?.documents == 1)
        let ledger = try SelectionLedger(path: folder.path("o.jsonl.ledger"))
        #expect(try ledger.fate(of: ledger.number(of: "\(path)@2:1")).reason == nil)
    }

    @Test func cutsLongDocuments() throws {
        let path = try folder.write("a.tsv", (0..<45).map { "s\tnear\to\($0)\n" }.joined())
        _ = try select([], settings([path]))
        #expect(try lines().map { $0["triples"]?.int } == [20, 20, 5])
    }

    @Test func refusesByLine() throws {
        let path = try folder.write("a.tsv", "a\tnear\tb\na\tfar from\tb\na\tnear\n")
        let error = #expect(throws: UserFacingError.self) { try select([], settings([path])) }
        #expect(error?.message.contains("a.tsv, line 2: the relation 'far from' has no template in") == true)
        #expect(error?.message.contains("capital, near") == true)
        #expect(try !folder.names().contains("o.jsonl"))
        let report = try select([], settings([path]) { $0.reading.skipsBadLines = true }, as: "p.jsonl")
        #expect(report.triples?.skipped == 2 && report.kept == 1)
        #expect(report.warnings.contains { $0.contains("lines of triples passed over: 2") })
    }

    /// Texts that people have written, of 40 letters each, and as many of other kinds.
    private func corpus() throws -> [String] {
        let real = (0..<30).map {
            "{\"text\": \"\(String(repeating: "abcdefghij\($0 % 10)", count: 4))\($0)\"}\n"
        }
        let own = (0..<10).map {
            "{\"text\": \"\(String(repeating: "own text \($0)", count: 4))\", \"synthetic\": \"replay\"}\n"
        }
        let triples = (0..<40).map { "subject \($0)\tnear\tobject \($0)\n" }
        return try [
            folder.write("real.jsonl", real.joined()), folder.write("own.jsonl", own.joined()),
            folder.write("a.tsv", triples.joined()),
        ]
    }

    @Test func holdsTheCap() throws {
        let files = try corpus()
        func selected(
            _ cap: Double?, seed: UInt64 = 0, threads: Int = 2, partSize: Int = 200, as name: String
        ) throws -> SelectionReport {
            try select(
                Array(files[..<2]),
                settings([files[2]]) {
                    ($0.rules, $0.syntheticCap, $0.seed, $0.dropsNearDuplicates) = ([], cap, seed, false)
                }, threads: threads, partSize: partSize, as: name)
        }
        let all = try selected(nil, as: "all.jsonl")
        #expect(all.kept == 80 && all.syntheticShare > 0.5)
        let report = try selected(0.2, as: "a.jsonl")
        // As much as fits, of both kinds.
        #expect(report.syntheticShare <= 0.2 && report.syntheticShare > 0.18)
        #expect(report.synthetic.map(\.documents) == [40, 10] && report.synthetic.allSatisfy { $0.kept > 0 })
        let reason = report.reasons.first { $0.name == "synthetic_cap" }
        #expect(reason?.limit == 0.2 && reason?.documents == 80 - report.kept)
        let ledger = try SelectionLedger(path: folder.path("a.jsonl.ledger"))
        let fates = try (0..<ledger.count).map { try ledger.fate(of: $0) }
        let dropped = fates.filter { $0.reason == "synthetic_cap" }
        #expect(
            dropped.count == 80 - report.kept && dropped.allSatisfy { $0.synthesis != nil && !$0.isLeast })
        #expect(dropped.allSatisfy { abs(($0.score ?? 0) - all.syntheticShare) < 1e-6 && $0.limit == 0.2 })
        #expect(fates.filter { $0.synthesis == nil }.allSatisfy { $0.reason == nil })
        // The same bytes however it is divided; others by another seed; none at 0.
        _ = try selected(0.2, threads: 1, partSize: 1 << 20, as: "b.jsonl")
        #expect(try folder.bytes("a.jsonl") == folder.bytes("b.jsonl"))
        #expect(try reportOfAnyParts(folder, "a.jsonl") == reportOfAnyParts(folder, "b.jsonl"))
        _ = try selected(0.2, seed: 1, as: "c.jsonl")
        #expect(try folder.bytes("a.jsonl") != folder.bytes("c.jsonl"))
        #expect(try selected(0, as: "d.jsonl").kept == 30)
        #expect(try selected(1, as: "e.jsonl").kept == 80)
    }

    @Test func leavesOutTheLastOfWhatWasChosen() throws {
        let files = try corpus()
        let report = try select(
            Array(files[..<2]),
            settings([files[2]]) {
                ($0.rules, $0.syntheticCap, $0.dropsNearDuplicates) = ([], 0.2, false)
                var choice = DocumentChoice(.share(0.9), taskKey: "text")
                choice.measures = [.entropy]
                $0.choice = choice
            })
        #expect(report.syntheticShare <= 0.2)
        let ledger = try SelectionLedger(path: folder.path("o.jsonl.ledger"))
        let fates = try (0..<ledger.count).map { try ledger.fate(of: $0) }
        let synthetic = fates.filter { $0.synthesis == "triples" && $0.reason != "not_chosen" }
        let kept = synthetic.filter { $0.reason == nil }.compactMap(\.rank)
        let dropped = synthetic.filter { $0.reason == "synthetic_cap" }.compactMap(\.rank)
        // Documents of triples are nearly of one size here, so the first are those that fit.
        #expect(!kept.isEmpty && !dropped.isEmpty)
        #expect(try #require(kept.min()) < #require(dropped.min()))
        #expect(kept.reduce(0, +) / kept.count < dropped.reduce(0, +) / dropped.count)
    }

    @Test func asksNoRulesOfProse() throws {
        let files = try corpus()
        let report = try select(Array(files[1...1]), settings([files[2]]))
        // Published rules drop short texts, samples among them; triples are not asked, nor are they near each other.
        #expect(report.synthetic.map(\.kept) == [40, 0] || report.synthetic.map(\.kept) == [40])
        let hangul = try select(
            [],
            settings([files[2]]) {
                $0.rules = [SelectionRule.script("hangul", share: 0.5)].compactMap(\.self)
            },
            as: "p.jsonl")
        #expect(hangul.kept == 0)
    }

    @Test func goesOnToTheSameBytes() throws {
        let files = try corpus()
        let settings = settings([files[2], try folder.write("b.tsv", "x\tcapital\ty\n")]) {
            ($0.rules, $0.syntheticCap) = ([], 0.3)
        }
        _ = try select([files[0]], settings, as: "whole.jsonl")
        for stop in [1, 3, 9, 30, 90] {
            let count = Guarded(0)
            let selection = try TextSelection(
                of: [files[0]], settings, threads: 2, tool: "test", partSize: 200)
            let error = #expect(throws: UserFacingError.self) {
                try selection.write(
                    to: folder.path("s.jsonl"),
                    isCancelled: {
                        count.withLock {
                            $0 += 1; return $0 > stop
                        }
                    })
            }
            #expect(error?.kind == .interrupted)
        }
        _ = try select([files[0]], settings, as: "s.jsonl")
        for ending in ["", ".ledger", ".report.json"] {
            #expect(try folder.bytes("whole.jsonl" + ending) == folder.bytes("s.jsonl" + ending))
        }
        // Other templates are another selection.
        #expect(throws: UserFacingError.self) {
            try TextSelection(of: [files[0]], settings, threads: 2, tool: "test", partSize: 200)
                .write(to: folder.path("u.jsonl"), isCancelled: { true })
        }
        try folder.write("t.yaml", "capital: '{subject}, {object}'\nnear: '{subject} - {object}'\n")
        let error = #expect(throws: UserFacingError.self) { try select([files[0]], settings, as: "u.jsonl") }
        #expect(error?.message.contains("u.jsonl.run") == true)
    }
}
