import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

/// What documents are chosen by, beside a second implementation and PyTorch: `Scripts/fixtures/choosing.py`.
@Suite struct ChoosingTests {
    let folder: TemporaryFolder
    let reference: Reference

    init() throws {
        folder = try TemporaryFolder()
        reference = try JSONDecoder().decode(
            Reference.self, from: Data(contentsOf: URL(filePath: fixture("choosing.json"))))
        // Once: a file that was written again is another one to a run that goes on.
        try folder.write("texts.jsonl", lines(reference.cases.map(\.text)))
    }

    struct Reference: Decodable {
        let task: [String]
        let cases: [Case]

        struct Case: Decodable {
            let text: String
            let tokens: Int
            let embedding: [Double]
            let similarity, perplexity, bitsPerByte, ngrams, entropy: Double

            enum CodingKeys: String, CodingKey {
                case text, tokens, embedding, similarity, perplexity, ngrams, entropy
                case bitsPerByte = "bits-per-byte"
            }
        }
    }

    private func lines(_ texts: [String]) -> String {
        texts.map { "{\"text\": \(JSON.string($0).text)}\n" }.joined()
    }

    private func choice(
        _ measures: [DocumentChoice.Measure], _ amount: DocumentChoice.Amount = .share(0.3)
    ) throws -> DocumentChoice {
        var choice = DocumentChoice(amount, taskKey: "text")
        (choice.measures, choice.model) = (measures, try fixture("choices/llama"))
        choice.task = [try folder.write("task.jsonl", lines(reference.task))]
        return choice
    }

    private func settings(_ choice: DocumentChoice) -> SelectionSettings {
        var settings = SelectionSettings()
        (settings.rules, settings.cleaning, settings.choice) = ([], [], choice)
        settings.dropsNearDuplicates = false
        return settings
    }

    /// Chooses from the fixture's texts; part sizes divide them.
    private func select(
        _ choice: DocumentChoice, to name: String = "out.jsonl", threads: Int = 2, partSize: Int = 900,
        isCancelled: @Sendable @escaping () -> Bool = { false }
    ) throws -> SelectionLedger {
        _ = try TextSelection(
            of: [folder.path("texts.jsonl")], settings(choice), threads: threads, tool: "test",
            partSize: partSize
        ).write(to: folder.path(name), replaces: false, isCancelled: isCancelled)
        return try SelectionLedger(path: folder.path(name + ".ledger"))
    }

    private func ranks(_ values: [Double]) -> [Int] {
        let order = values.indices.sorted { (values[$0], $1) > (values[$1], $0) }
        return values.indices.map { value in (order.firstIndex(of: value) ?? 0) + 1 }
    }

    // MARK: Measures

    @Test func embeddingsAreThoseOfPyTorch() throws {
        let model = try DocumentModel(
            Checkpoint.open(fixture("choices/llama")), options: TextOptions(), threads: 2)
        try model.load { false }
        let texts = reference.cases.map { Array($0.text.utf8) }
        let found = try model.measure(texts, losses: true) {}
        #expect(reference.cases.count > 20 && reference.cases.contains { $0.tokens > 100 })
        for (found, entry) in zip(found, reference.cases) {
            #expect(found.tokens == entry.tokens)
            let difference = zip(found.embedding, entry.embedding).map { abs($0 - $1) }.max() ?? .infinity
            #expect(difference < 1e-4, "\(entry.text)")
            #expect(found.predicted == entry.tokens)
            #expect(abs(found.nats / Double(found.predicted) - entry.perplexity) < 1e-5)
        }
        let alone = try model.measure(texts, losses: true, embeddings: false) {}
        #expect(alone.map(\.nats) == found.map(\.nats) && alone.allSatisfy(\.embedding.isEmpty))
        // A document without a token has none, and disturbs nobody.
        let few = try model.measure([[], Array(reference.cases[3].text.utf8)]) {}
        #expect(few[0].embedding.isEmpty && few[0].tokens == 0)
        #expect(zip(few[1].embedding, found[3].embedding).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func weightsOfWordsAreThoseOfAnotherImplementation() throws {
        var hasher = NgramHasher()
        func counts(_ texts: [String]) -> [Int] {
            var counts = [Int](repeating: 0, count: NgramHasher.buckets)
            for text in texts { for bucket in hasher.buckets(of: Array(text.utf8)) { counts[bucket] += 1 } }
            return counts
        }
        let weights = NgramWeights(
            task: counts(reference.task), documents: counts(reference.cases.map(\.text)))
        for entry in reference.cases {
            #expect(abs(weights.score(hasher.buckets(of: Array(entry.text.utf8))) - entry.ngrams) < 1e-6)
        }
    }

    @Test(arguments: DocumentChoice.Measure.allCases)
    func theFirstRanksAreChosen(by measure: DocumentChoice.Measure) throws {
        let ledger = try select(choice([measure]))
        var hasher = NgramHasher()
        let expected = reference.cases.map { entry in
            switch measure {
            case .similarity: entry.similarity
            case .ngrams: entry.ngrams
            case .ngramsMean: entry.ngrams / Double(hasher.buckets(of: Array(entry.text.utf8)).count)
            case .perplexity: entry.perplexity
            case .bitsPerByte: entry.bitsPerByte
            // A text of one character has no pair.
            case .entropy: entry.text.count > 1 ? entry.entropy : -.infinity
            }
        }
        let ranks = ranks(expected)
        for number in 0..<ledger.count {
            let fate = try ledger.fate(of: number)
            #expect(fate.rank == ranks[number])
            guard expected[number].isFinite else {
                #expect(fate.scores.isEmpty && fate.rank == 21)
                continue
            }
            let score = try #require(fate.scores.first)
            #expect(score.name == (measure == .entropy ? "class-entropy" : measure.rawValue))
            #expect(abs(score.score - expected[number]) < 1e-5 * max(1, abs(expected[number])))
            // Three tenths of 21, rounded up.
            #expect(fate.reason == (ranks[number] <= 7 ? nil : "not_chosen"))
        }
        #expect(ledger.count == reference.cases.count)
    }

    @Test func tagsHaveAnEntropy() throws {
        let tags = [#"["N", "V", "N", "V"]"#, #""N V A X""#, #"["N"]"#, "3"]
        let file = try folder.write(
            "dated.jsonl",
            tags.enumerated().map { #"{"text": "Text \#($0)", "pos": \#($1)}"# + "\n" }.joined())
        var choice = DocumentChoice(.share(0.5), taskKey: "text")
        (choice.measures, choice.tagsField) = ([.entropy], "pos")
        let found = try select(file, choice)
        let scores = try (0..<4).map { try found.ledger.fate(of: $0).scores.first }
        #expect(scores.map { $0?.score } == [1, 2, 0, nil] && scores[0]?.name == "tag-entropy")
        #expect(found.report.choice?.unmeasured == 1 && found.report.kept == 2)
        #expect(found.report.warnings.contains { $0.contains("can't be measured, and come last: 1") })
        choice.tagsField = "poss"
        let error = #expect(throws: UserFacingError.self) { try select(file, choice) }
        #expect(error?.message.contains("none of 4 documents has two different ones under 'poss'") == true)
    }

    @Test func severalMeasuresCountByTheirRanks() throws {
        let ledger = try select(choice([.similarity, .ngrams]))
        let one = ranks(reference.cases.map(\.similarity)), two = ranks(reference.cases.map(\.ngrams))
        let expected = ranks(zip(one, two).map { -Double($0 + $1) })
        for number in 0..<ledger.count { #expect(try ledger.fate(of: number).rank == expected[number]) }
    }

    /// How often each document is drawn first follows its weight.
    @Test func drawsFollowWeights() throws {
        let weights = Ranking.logarithmicWeights([[0, 1, 3, 4, .nan]], count: 5)
        var counts = [Int](repeating: 0, count: 5)
        for seed in 0..<4000 {
            let keys = weights.enumerated().map {
                $1 + Ranking.gumbel(seed: UInt64(seed), document: UInt32($0))
            }
            counts[Ranking.order(keys)[0]] += 1
        }
        // Weights 0, 1/4, 3/4 and 1; a share's deviation is below 0.008.
        #expect(counts[0] == 0 && counts[4] == 0)
        for (count, share) in zip(counts[1...3], [0.125, 0.375, 0.5]) {
            #expect(abs(Double(count) / 4000 - share) < 0.032)
        }
    }

    @Test func aDrawFollowsItsSeed() throws {
        var choice = try choice([.similarity])
        choice.isSampled = true
        _ = try select(choice, to: "one.jsonl")
        _ = try select(choice, to: "two.jsonl", threads: 1)
        #expect(try folder.bytes("one.jsonl") == folder.bytes("two.jsonl"))
        choice.seed = 1
        _ = try select(choice, to: "three.jsonl")
        #expect(try folder.bytes("one.jsonl") != folder.bytes("three.jsonl"))
        // Without a measure all are drawn alike.
        choice.measures = []
        choice.model = nil
        #expect(try select(choice, to: "any.jsonl").fate(of: 0).rank != nil)
    }

    @Test func aBudgetIsFilledByWhatFits() throws {
        let tokens = try select(choice([.similarity], .tokens(150)), to: "tokens.jsonl")
        let bytes = try select(choice([.similarity], .bytes(400)), to: "bytes.jsonl")
        for (ledger, budget, sizes) in [
            (tokens, 150, reference.cases.map(\.tokens)),
            (bytes, 400, reference.cases.map(\.text.utf8.count)),
        ] {
            let ranks = ranks(reference.cases.map(\.similarity))
            var left = budget
            for number in ranks.indices.sorted(by: { ranks[$0] < ranks[$1] }) {
                let isChosen = try ledger.fate(of: number).reason == nil
                #expect(isChosen == (sizes[number] <= left))
                if isChosen { left -= sizes[number] }
            }
            #expect(left < budget)
        }
    }

    // MARK: Dates

    @Test(arguments: [
        (#""2024-05-17""#, "2024-05-17"), (#""2024-05-17T23:59:59Z""#, "2024-05-17"),
        (#""2024-05""#, "2024-05-01"),
        (#""2024""#, "2024-01-01"), ("2024", "2024-01-01"), (#""20240229""#, "2024-02-29"),
        (#""1999/12/31 10:00""#, "1999-12-31"), ("1715904000", "2024-05-17"), ("1715904000123", "2024-05-17"),
        (#""2000-02-29""#, "2000-02-29"), (#""1900-02-29""#, nil), (#""17.05.2024""#, nil),
        (#""2024-13-01""#, nil),
        ("12345", nil), ("true", nil), (#""2024 May""#, nil), (#""""#, nil),
    ])
    func datesAreRead(written: String, day: String?) throws {
        let value = try JSON(parsing: Array(written.utf8), file: "test")
        #expect(CalendarDay(value)?.description == day)
    }

    @Test func daysAreCounted() {
        #expect(CalendarDay(year: 1970, month: 1, day: 1)?.number == 0)
        #expect(CalendarDay(year: 2026, month: 11, day: 28)?.number == 20_785)
        #expect(CalendarDay.range(named: "2024-02")?.upperBound.description == "2024-02-29")
        #expect(CalendarDay.range(named: "2023")?.upperBound.description == "2023-12-31")
    }

    /// Documents of years, one without a date and one whose date is no date.
    private func dated() throws -> String {
        let dates = (2015...2024).map { "\"\($0)-06-01\"" } + ["null", "\"soon\""]
        return try folder.write(
            "dated.jsonl",
            dates.enumerated().map { #"{"text": "Text number \#($0).", "meta": {"date": \#($1)}}"# + "\n" }
                .joined())
    }

    private func select(
        _ file: String, _ choice: DocumentChoice?, _ change: (inout DocumentDates) -> Void = { _ in }
    ) throws -> (ledger: SelectionLedger, report: SelectionReport) {
        var settings = SelectionSettings()
        (settings.rules, settings.choice, settings.dates) = ([], choice, DocumentDates(field: "meta.date"))
        if var dates = settings.dates {
            change(&dates)
            settings.dates = dates
        }
        let output = folder.path("dated.out.jsonl")
        let report = try TextSelection(of: [file], settings, threads: 2, tool: "test", partSize: 300)
            .write(to: output, replaces: true)
        return (try SelectionLedger(path: output + ".ledger"), report)
    }

    @Test func aWindowDropsWhatIsOutside() throws {
        let found = try select(dated(), nil) {
            $0.since = CalendarDay.range(named: "2018-06")?.lowerBound
            $0.until = CalendarDay.range(named: "2020")?.upperBound
        }
        let expected = (0..<12).map { number -> String? in
            switch number {
            case ..<3: "too_old"
            case 3...5: nil
            case 6..<10: "too_new"
            default: number == 10 ? "undated" : "unreadable_date"
            }
        }
        for number in 0..<12 {
            let fate = try found.ledger.fate(of: number)
            #expect(fate.reason == expected[number])
            if number == 0 { #expect(fate.score == 2015) }
        }
        let warning = found.report.warnings.first
        #expect(
            warning?.contains("without a date: 1, with one that can't be read: 1; they are dropped") == true)
        #expect(warning?.hasSuffix("dated.jsonl, line 11") == true)
    }

    @Test func ageHalvesWeights() throws {
        var choice = DocumentChoice(.share(0.25), taskKey: "text")
        choice.halfLife = 365
        let found = try select(dated(), choice)
        // The newest come first; those without a date are as old as the oldest, and behind it.
        let ranks = try (0..<12).map { try found.ledger.fate(of: $0).rank }
        #expect(ranks == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 12])
        #expect(found.report.kept == 3)
        #expect(found.report.choice?.undated == 1 && found.report.choice?.unreadableDates == 1)
        #expect(found.report.warnings.first?.contains("they count as old as the oldest") == true)
        let decay = Ranking.logarithmicDecay([0, 365, .nan, 730], halfLife: 365, newest: nil)
        #expect(decay.map { $0.map { exp($0) } }?.map { ($0 * 1000).rounded() } == [250, 500, 250, 1000])
        // A document that stands twice as high makes up for one half-life.
        choice.measures = [.ngrams]
        choice.task = [try folder.write("task.jsonl", lines(["Text number 0."]))]
        let both = try select(dated(), choice)
        #expect(try both.ledger.fate(of: 0).scores.first?.name == "ngrams")
        let none = #expect(throws: UserFacingError.self) { try select(dated(), choice) { $0.field = "when" } }
        #expect(none?.message.contains("none of 12 documents has one that can be read as 'when'") == true)
    }

    // MARK: Spreading

    /// Points of length 1 around some directions, in two files, and the direction of each.
    private func planted(
        _ counts: [Int], width: Int = 24, noise: Double = 0.05
    ) throws -> (points: Embeddings, origins: [Int]) {
        var numbers = NormalDistribution(seed: 5, deviation: 1)
        func unit(_ values: [Double]) -> [Float] {
            let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return values.map { Float($0 / length) }
        }
        let directions = counts.map { _ in unit((0..<width).map { _ in Double(numbers.next()) }) }
        let origins = counts.enumerated().flatMap { [Int](repeating: $0, count: $1) }
        let paths = ["one", "two"].map { folder.path($0 + ".embeddings") }
        let half = origins.count / 2
        for (path, range) in zip(paths, [0..<half, half..<origins.count]) {
            let writer = try NumberRowsWriter(path: path)
            for origin in origins[range] {
                try writer.append(
                    unit(directions[origin].map { Double($0) + noise * Double(numbers.next()) }))
            }
            try writer.finish()
        }
        return (try Embeddings(paths: paths, counts: [half, origins.count - half], width: width), origins)
    }

    @Test func clustersAreThoseThatWerePlanted() throws {
        let (points, origins) = try planted([300, 40, 120, 200, 30], noise: 0.02)
        for seed in 0..<3 as Range<UInt64> {
            let found = try KMeans(of: points, count: 5, seed: seed) {}
            let clusters = try found.clusters(of: points, threads: 3) {}
            #expect(try clusters == found.clusters(of: points, threads: 1) {})
            // One cluster a direction, and one direction a cluster.
            #expect(Set(zip(origins, clusters).map { "\($0) \($1)" }).count == 5)
            #expect(Set(clusters).count == 5)
        }
        // As many clusters as points, and fewer than there are directions.
        let (few, _) = try planted([3, 3])
        #expect(Set(try KMeans(of: few, count: 6, seed: 1) {}.clusters(of: few, threads: 1) {}).count == 6)
        #expect(try KMeans(of: points, count: 2, seed: 1) {}.clusters(of: points, threads: 1) {}.count == 690)
    }

    @Test func groupsTakeTurns() {
        // Two of group 0 are better than all of group 1, and group 2 has one alone.
        let groups: [UInt32] = [0, 0, 0, 1, 1, 2]
        let order = [0, 1, 3, 2, 5, 4]
        func taken(_ amount: DocumentChoice.Amount, _ sizes: [Int]) -> [Int] {
            Ranking.taken(order, groups: groups, sizes: sizes, from: Allowance(amount, of: 6))
        }
        let ones = [Int](repeating: 1, count: 6)
        #expect(taken(.share(0.5), ones) == [0, 3, 5])
        #expect(taken(.share(0.8), ones) == [0, 3, 5, 1, 4])
        #expect(taken(.share(1), ones).count == 6)
        // By size: group 0 has had 10 when the others have had 2 and 3.
        #expect(taken(.bytes(20), [10, 5, 1, 2, 4, 3]) == [0, 3, 5, 4, 2])
    }

    @Test func clustersShareABudget() throws {
        var choice = try choice([.similarity], .share(0.4))
        choice.spread = .clusters(3)
        let ledger = try select(choice, to: "one.jsonl")
        var counts: [String: (chosen: Int, all: Int)] = [:]
        for number in 0..<ledger.count {
            let fate = try ledger.fate(of: number)
            let group = try #require(fate.group)
            counts[group, default: (0, 0)].all += 1
            if fate.reason == nil { counts[group, default: (0, 0)].chosen += 1 }
        }
        // Nine of 21: three of each cluster that has as many, and all of a smaller one.
        #expect(counts.count == 3 && counts.values.reduce(0) { $0 + $1.chosen } == 9)
        let most = counts.values.map(\.chosen).max() ?? 0
        #expect(counts.values.allSatisfy { $0.chosen >= most - 1 || $0.chosen == $0.all })
        for threads in [1, 3] {
            _ = try select(choice, to: "\(threads).jsonl", threads: threads)
            for ending in ["", ".ledger"] {
                #expect(try folder.bytes("\(threads).jsonl\(ending)") == folder.bytes("one.jsonl\(ending)"))
            }
        }
        choice.spread = .clusters(22)
        let error = #expect(throws: UserFacingError.self) { try select(choice, to: "more.jsonl") }
        #expect(error?.message.contains("--clusters 22 are more than the 21 documents") == true)
    }

    @Test func topicsShareABudget() throws {
        let topics = (0..<12).map { $0 < 8 ? "\"a\"" : $0 < 10 ? "7" : "null" }
        let file = try folder.write(
            "dated.jsonl",
            topics.enumerated().map { #"{"text": "Text number \#($0).", "topic": \#($1)}"# + "\n" }.joined())
        var choice = DocumentChoice(.share(0.5), taskKey: "text")
        (choice.isSampled, choice.spread) = (true, .topics(field: "topic"))
        let found = try select(file, choice)
        let groups = try #require(found.report.choice?.groups)
        #expect(groups.map(\.name) == ["a", "7", "(none)"])
        #expect(groups.map(\.candidates) == [8, 2, 2] && groups.map(\.chosen) == [2, 2, 2])
        #expect(try found.ledger.fate(of: 8).group == "7")
        choice.spread = .topics(field: "topics")
        let error = #expect(throws: UserFacingError.self) { try select(file, choice) }
        #expect(error?.message.contains("none of 12 documents has") == true)
        #expect(error?.message.contains("under 'topics'") == true)
    }

    private func marginal(
        _ points: Embeddings, _ relevance: [Double], balance: Double, count: Int, threads: Int = 1
    ) throws -> [Int] {
        var left = count
        return try MarginalRelevance(
            relevance: relevance, vectors: points.rows(0..<points.count), width: points.width,
            balance: balance,
            threads: threads
        ).taken(
            { _ in
                left -= 1
                return true
            }, until: { left == 0 }
        ) {}
    }

    /// The most relevant are all of one cluster; the weight of relevance tells how many of the others are taken.
    @Test func marginalRelevanceSpreads() throws {
        let (points, origins) = try planted([20, 20, 20, 20])
        let relevance = origins.indices.map { (origins[$0] == 2 ? 0.9 : 0.6) - Double($0) * 0.001 }
        let byRelevance = try marginal(points, relevance, balance: 1, count: 8)
        #expect(byRelevance == Array(40..<48))
        let spread = try marginal(points, relevance, balance: 0.5, count: 4)
        #expect(spread.first == 40 && Set(spread.map { origins[$0] }).count == 4)
        #expect(try spread == marginal(points, relevance, balance: 0.5, count: 4, threads: 3))
        // Each step is the best one, worked out by itself.
        let rows = try points.rows(0..<points.count).map(Double.init)
        func row(_ index: Int) -> [Double] { Array(rows[index * 24..<(index + 1) * 24]) }
        let long = try marginal(points, relevance, balance: 0.7, count: 30)
        for step in 1..<30 {
            let values = origins.indices.map { index -> Double in
                guard !long[..<step].contains(index) else { return -.infinity }
                let likeness = long[..<step].map { cosine(row($0), row(index)) }
                return 0.7 * relevance[index] - 0.3 * (likeness.max() ?? 0)
            }
            #expect(values[long[step]] >= (values.max() ?? .infinity) - 1e-6)
        }
    }

    @Test func marginalRelevanceKeepsToABudget() throws {
        var choice = try choice([.similarity], .tokens(200))
        choice.spread = .marginal(0.3)
        let ledger = try select(choice, to: "one.jsonl", threads: 1)
        let chosen = try (0..<ledger.count).filter { try ledger.fate(of: $0).reason == nil }
        let tokens = chosen.reduce(0) { $0 + reference.cases[$1].tokens }
        #expect(tokens <= 200 && chosen.count > 1)
        _ = try select(choice, to: "three.jsonl", threads: 3)
        #expect(try folder.bytes("three.jsonl") == folder.bytes("one.jsonl"))
        choice.spread = nil
        _ = try select(choice, to: "plain.jsonl")
        #expect(try folder.bytes("plain.jsonl") != folder.bytes("one.jsonl"))
    }

    // MARK: Runs

    @Test func theOutputIsTheSameHoweverItIsMade() throws {
        let choice = try choice([.similarity, .ngrams], .tokens(300))
        _ = try select(choice, to: "one.jsonl", threads: 1)
        for threads in [2, 3] {
            _ = try select(choice, to: "\(threads).jsonl", threads: threads)
            for ending in ["", ".ledger", ".report.json"] {
                #expect(try folder.bytes("\(threads).jsonl\(ending)") == folder.bytes("one.jsonl\(ending)"))
            }
        }
    }

    @Test func aStoppedRunGoesOn() throws {
        let choice = try choice([.similarity, .ngrams])
        _ = try select(choice, to: "whole.jsonl")
        var stops = 0
        // Each time it gets farther.
        for limit in stride(from: 15, to: 600, by: 15) {
            let asked = Counter()
            do {
                _ = try select(choice, to: "cut.jsonl") { asked.next() > limit }
                break
            } catch {
                #expect((error as? UserFacingError)?.isInterruption == true, "\(error)")
                stops += 1
            }
        }
        #expect(stops > 2 && FileSystem.exists(folder.path("cut.jsonl")))
        for ending in ["", ".ledger", ".report.json"] {
            #expect(try folder.bytes("cut.jsonl\(ending)") == folder.bytes("whole.jsonl\(ending)"))
        }
    }

    @Test func anotherTaskIsAnotherRun() throws {
        var choice = try choice([.ngrams])
        let asked = Counter()
        #expect(throws: UserFacingError.self) { try select(choice) { asked.next() > 40 } }
        choice.task = [try folder.write("other.jsonl", lines(reference.task.dropLast()))]
        let error = #expect(throws: UserFacingError.self) { try select(choice) }
        #expect(error?.message.contains("other files, settings or version") == true)
    }

    @Test func whatCannotBeChosenIsRefused() throws {
        var choice = try choice([.ngrams], .bytes(0))
        let least = #expect(throws: UserFacingError.self) { try select(choice) }
        #expect(least?.message.contains("the smallest takes 1") == true)
        choice.task = [try folder.write("empty.jsonl", "{\"text\": \"\"}\n")]
        let empty = #expect(throws: UserFacingError.self) { try select(choice, to: "b.jsonl") }
        #expect(empty?.message.contains("no text of a task") == true)
        var settings = settings(try self.choice([.ngrams]))
        settings.rules = SelectionRule.published
        let file = folder.path("texts.jsonl")
        let none = #expect(throws: UserFacingError.self) {
            try TextSelection(of: [file], settings, threads: 1, tool: "test").write(
                to: folder.path("c.jsonl"))
        }
        #expect(none?.message.contains("no document is left to choose from") == true)
        #expect(!FileSystem.exists(folder.path("c.jsonl")))
    }
}
