import Formats
import TestSupport
import Testing

@testable import Trainer

@Suite struct DataMixtureTests {
    let tokenizer = try? Tokenizer.open(example("blank"))

    static let files = ["data/english.val.jsonl", "data/korean.val.jsonl", "data/english.train.jsonl"].map(
        example)

    private func layout(end: Int32? = 2) throws -> DocumentLayout {
        try DocumentLayout(start: 1, end: end, tokenizer: #require(tokenizer))
    }

    private func mixture(
        _ weights: [Double], of files: [String] = Self.files, length: Int = 32,
        extent: DataExtent = .unlimited,
        packing: Packing = .documents, seed: UInt64 = 1, blockSize: Int = 4_000, end: Int32? = 2
    ) throws -> DataMixture {
        var cache = SourceCache(tokenizer: try #require(tokenizer), vocabularySize: 1_024)
        return try DataMixture(
            cache.open(
                zip(files, weights).map { TextSource(path: $0, weight: $1) }, layout: layout(end: end)),
            length: length, extent: extent, packing: packing, seed: seed, blockSize: blockSize)
    }

    /// The documents of a file, laid out by hand.
    private func documents(_ path: String, end: Int32? = 2) throws -> [[Int32]] {
        let tokenizer = try #require(tokenizer)
        let file = try DocumentIndex(path: path)
        return try (0..<file.count).map {
            try [1] + tokenizer.encode(file.text($0), addSpecialTokens: false) + (end.map { [$0] } ?? [])
        }
    }

    /// One document of many tokens, and many of few.
    private func unevenFile(in folder: TemporaryFolder) throws -> String {
        let long = (0..<400).map { "The sheet \($0) has \($0 * 7) cells." }.joined(separator: " ")
        let short = (0..<63).map { #"{"text": "Row \#($0) is short."}"# }.joined(separator: "\n")
        return try folder.write("uneven.jsonl", #"{"text": "\#(long)"}"# + "\n" + short + "\n")
    }

    /// How often each token of a source is shown and predicted: what a run has shown is cut at documents again.
    private func check(
        _ data: inout DataMixture, shows documents: [[Int32]], times: Int, resumingAfter stop: Int? = nil,
        another: () throws -> DataMixture
    ) throws {
        var shown: [Int32: Int] = [:]
        var (predicted, starts) = (0, 0)
        for sequence in 0..<(try #require(data.sequenceCount())) {
            if sequence == stop {
                let position = data.position
                data = try another()
                try data.move(to: position)
            }
            let before = data.sources[0].shown
            let batch = try data.next(1)
            for place in 0..<data.sources[0].shown - before {
                shown[batch.tokens[place], default: 0] += 1
                starts += batch.tokens[place] == 1 ? 1 : 0
            }
            predicted += batch.targetCount
            #expect(!batch.targets.contains(1), "a start was predicted")
        }
        var expected: [Int32: Int] = [:]
        for token in documents.joined() { expected[token, default: 0] += times }
        #expect(shown == expected)
        #expect(starts == documents.count * times)
        #expect(predicted == (documents.joined().count - documents.count) * times)
        #expect(data.sources[0].coverage == 1 && data.sources[0].passes == Double(times))
        #expect(try data.next(2).targetCount == 0)
    }

    /// Every token is shown once in a pass, and predicted once unless it is a start: whatever the lengths of documents,
    /// the blocks and the place of a resume.
    @Test(arguments: [1, 2, 3], [32, 1_000, 1 << 20]) func aPassShowsEveryTokenOnce(
        passes: Int, blockSize: Int
    ) throws {
        let folder = try TemporaryFolder()
        let path = try unevenFile(in: folder)
        let documents = try documents(path)
        let count = documents.joined().count
        #expect(count > 4_000 && documents.map(\.count).max() ?? 0 > count / 2)
        for extent in [DataExtent.passes(passes), .tokens(passes * count)] {
            for (length, stop) in [(32, 40), (48, nil), (7, 111), (512, 1), (4_096, nil)] {
                func make() throws -> DataMixture {
                    try mixture([1], of: [path], length: length, extent: extent, blockSize: blockSize)
                }
                var data = try make()
                try check(&data, shows: documents, times: passes, resumingAfter: stop, another: make)
            }
        }
    }

    /// A source shorter than a sequence fills it with the next passes, in order.
    @Test func aTinySourceIsReadPassByPass() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("tiny.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"c\"}\n")
        let documents = try documents(path)
        var data = try mixture([1], of: [path], length: 64, extent: .passes(40))
        try check(&data, shows: documents, times: 40) { try mixture([1], of: [path]) }
    }

    /// No token is shown a second time before all were shown, at any moment.
    @Test func noTokenComesBackBeforeAllWereShown() throws {
        let folder = try TemporaryFolder()
        // Words of one token each, so that a token says which document it is of.
        let words = (0..<900).map { "\"w\($0)\":\($0)" }.joined(separator: ",")
        let tokenizer = try Tokenizer.open(
            try folder.write(
                "tokenizer.json",
                """
                {"pre_tokenizer":{"type":"WhitespaceSplit"},
                 "model":{"type":"WordLevel","unk_token":"w0","vocab":{\(words)}}}
                """))
        var (next, lines) = (3, "")
        for length in [300, 1, 2, 50, 7, 1, 1, 90, 400, 3] {
            lines += "{\"text\": \"\((next..<next + length).map { "w\($0)" }.joined(separator: " "))\"}\n"
            next += length
        }
        let path = try folder.write("words.jsonl", lines)
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 900)
        var data = try DataMixture(
            cache.open(
                [TextSource(path: path, weight: 1)],
                layout: DocumentLayout(start: nil, end: nil, tokenizer: tokenizer)),
            length: 16, packing: .documents, seed: 3, blockSize: 160)
        var counts = [Int](repeating: 0, count: next)
        for _ in 0..<300 {
            for token in try data.next(1).tokens { counts[Int(token)] += 1 }
            let (least, most) = (counts[3...].min() ?? 0, counts[3...].max() ?? 0)
            #expect(most - least <= 1)
        }
        #expect(counts[3...].min() ?? 0 >= 5)
    }

    @Test func aRunOverAMixtureShowsEverySourceOnceAtItsShare() throws {
        let sizes = try Self.files[..<2].map { try documents($0).joined().count }
        var data = try mixture([3, 1], extent: .passes(1))
        let total = max(Double(sizes[0]) / 0.75, Double(sizes[1]) / 0.25)
        let expected = [0.75, 0.25].map { Int(($0 * total).rounded()) }
        #expect(data.limits == expected && zip(expected, sizes).contains { $0 == $1 })
        _ = try data.next(try #require(data.sequenceCount()))
        #expect(data.sources.map(\.shown) == expected)
        #expect(data.sources.allSatisfy { $0.coverage == 1 })
        #expect(data.progress(after: 0) == data.sources)
    }

    @Test(arguments: [1, 31, 32, 33, 1_000, 20_001]) func aRunOfTokensShowsAsMany(_ tokens: Int) throws {
        var data = try mixture([5, 2, 4], extent: .tokens(tokens))
        _ = try data.next(try #require(data.sequenceCount()))
        #expect(data.sources.reduce(0) { $0 + $1.shown } == tokens)
    }

    @Test func keepsTheProportionsAtEveryMoment() throws {
        var data = try mixture([3, 1])
        for taken in 1...40 {
            _ = try data.next(1)
            #expect(abs(Double(data.sources[0].shown) - 0.75 * Double(taken * 32)) <= 32)
        }
        #expect(data.sources.map(\.shown) == [30 * 32, 10 * 32])
    }

    /// Many sources, some of them small, are off by little more than a sequence at any moment.
    @Test func manySourcesKeepTheirProportions() throws {
        let weights = [20.0, 7, 5, 3, 1, 0.5, 0.2]
        var data = try mixture(weights, of: weights.indices.map { Self.files[$0 % 2] }, length: 8)
        for taken in 1...600 {
            _ = try data.next(1)
            for (weight, source) in zip(weights, data.sources) {
                let share = weight / weights.reduce(0, +)
                #expect(abs(Double(source.shown) - share * Double(8 * taken)) <= 1.25 * 8)
            }
        }
    }

    @Test func aTokenSeesItsOwnDocumentOnly() throws {
        var data = try mixture([1], length: 512)
        let batch = try data.next(1)
        var start: Int32 = 0
        var starts = 0
        for (position, token) in batch.tokens.enumerated() {
            if token == 1 { (start, starts) = (Int32(position), starts + 1) }
            #expect(batch.attentionStart[position] == start)
            // The end of text is predicted, and nothing from it.
            if token == 2 { #expect(batch.targets[position] == -1) }
            if position + 1 < 512, batch.tokens[position + 1] == 2 { #expect(batch.targets[position] == 2) }
        }
        #expect(starts > 1)
        var shared = try mixture([1], length: 512, packing: .concatenate)
        let other = try shared.next(1)
        #expect(other.tokens == batch.tokens && other.attentionStart.allSatisfy { $0 == 0 })
    }

    @Test func documentsWithoutAnEnd() throws {
        let documents = try documents(Self.files[0], end: nil)
        var data = try mixture([1], extent: .passes(1), end: nil)
        try check(&data, shows: documents, times: 1) { try mixture([1]) }
    }

    @Test(arguments: [1, 7, 60, 500], Packing.allCases)
    func goesOnWhereItStood(_ before: Int, _ packing: Packing) throws {
        var data = try mixture([2, 1], packing: packing)
        _ = try data.next(before)
        let position = data.position
        let expected = try data.next(9)
        var other = try mixture([2, 1], packing: packing)
        try other.move(to: position)
        #expect(try other.next(9) == expected && other.sources == data.sources)
    }

    // MARK: Stages

    /// A mixture that begins where another stands is that one, sequence by sequence, also where it is resumed.
    @Test(
        arguments: [
            ([3.0, 1], Packing.documents), ([2, 1, 1], .documents), ([3, 1], .bilingual),
            ([2, 1, 1], .bilingual),
        ], [true, false])
    func aStageGoesOnWhereTheOneBeforeStood(
        _ mix: (weights: [Double], packing: Packing), hasEnd: Bool
    ) throws {
        let weights = mix.weights
        // A block has 15 sequences, so the stages meet inside of one.
        let count = 64
        func stage(_ sequences: Int) throws -> DataMixture {
            try mixture(
                weights, extent: hasEnd ? .tokens(sequences * 32) : .unlimited, packing: mix.packing,
                blockSize: 500)
        }
        var (whole, first, second) = (try stage(2 * count), try stage(count), try stage(count))
        var expected: [TokenBatch] = []
        for _ in 0..<2 * count { expected.append(try whole.next(1)) }
        for index in 0..<count { #expect(try first.next(1) == expected[index]) }
        #expect(second.sequenceCount(from: first.sources) == (hasEnd ? count : nil))
        let planned = second.progress(after: count * 32, from: first.progress(after: count * 32))
        try second.begin(at: first.position)
        #expect(second.sources == first.sources)
        for index in count..<2 * count {
            if index == count + 17 {
                let position = second.position
                second = try stage(count)
                try second.move(to: position)
            }
            #expect(try second.next(1) == expected[index])
        }
        #expect(second.sources == whole.sources && planned == whole.sources)
        #expect(second.sources[0].shown == Int(weights[0] / weights.reduce(0, +) * Double(2 * count * 32)))
        #expect(try second.next(1) == whole.next(1))
        #expect(try (second.next(1).targetCount == 0) == hasEnd)
    }

    /// Wherever stages end, each token of a source is shown once in a pass: what one leaves of a sequence comes first
    /// in the next.
    @Test(arguments: [[1, 31, 33, 700, 5, 5, 5], [4_000], []], [(32, Packing.documents), (50, .bilingual)])
    func stagesShowEveryTokenOnce(_ ends: [Int], _ row: (length: Int, packing: Packing)) throws {
        let folder = try TemporaryFolder()
        let path = try unevenFile(in: folder)
        // Twice the same text, so that two sources of equal share are shown to their ends together.
        let sources = row.packing == .bilingual ? [path, path] : [path]
        let documents = try sources.flatMap { try self.documents($0) }
        let count = documents.joined().count
        let ends = ends.map { $0 * sources.count }
        let last = DataExtent.tokens(2 * count - ends.reduce(0, +))
        var position: DataPosition?
        var earlier: [SourceProgress] = []
        var counts: [Int32: Int] = [:]
        var predicted = 0
        for extent in ends.map(DataExtent.tokens) + [last] {
            var stage = try mixture(
                sources.map { _ in 1 }, of: sources, length: row.length, extent: extent, packing: row.packing,
                blockSize: 1_000)
            let sequences = try #require(stage.sequenceCount(from: earlier))
            let planned = stage.progress(after: 0, from: earlier)
            if let position { try stage.begin(at: position) }
            for _ in 0..<sequences {
                let before = stage.sources.reduce(0) { $0 + $1.shown }
                let batch = try stage.next(1)
                let shown = stage.sources.reduce(-before) { $0 + $1.shown }
                #expect(shown > 0 && batch.targets[shown...].allSatisfy { $0 == -1 })
                for token in batch.tokens[..<shown] { counts[token, default: 0] += 1 }
                predicted += batch.targetCount
            }
            #expect(stage.sources == planned)
            #expect(try stage.next(1).targetCount == 0)
            (position, earlier) = (stage.position, stage.sources)
        }
        var expected: [Int32: Int] = [:]
        for token in documents.joined() { expected[token, default: 0] += 2 }
        #expect(counts == expected && predicted == 2 * (count - documents.count))
        #expect(earlier.allSatisfy { $0.passes == 2 })
    }

    @Test func passesCountFromWhereAStageBegins() throws {
        var first = try mixture([3, 1], extent: .tokens(3_001))
        _ = try first.next(try #require(first.sequenceCount()))
        var second = try mixture([3, 1], extent: .passes(1))
        let shown = try #require(second.limits)
        try second.begin(at: first.position)
        _ = try second.next(try #require(second.sequenceCount(from: first.sources)))
        #expect(second.sources.map(\.shown) == zip(first.sources, shown).map { $0.shown + $1 })
        #expect(second.sources.map(\.passes).max() ?? 0 > 1)
    }

    // MARK: Two languages in a sequence

    /// A sequence is two halves, each of them what its source's stream has next, without a border between them.
    @Test func aBilingualSequenceIsOfTwoSources() throws {
        var cache = SourceCache(tokenizer: try #require(tokenizer), vocabularySize: 1_024)
        let opened = try cache.open(Self.files[..<2].map { TextSource(path: $0) }, layout: layout())
        var data = try DataMixture(opened, length: 32, packing: .bilingual, seed: 1, blockSize: 4_000)
        var streams = opened.enumerated().map { index, source in
            TokenStream(
                encoder: source.encoder, size: source.size, length: 16, sequencesOfBlock: 250, seed: 1,
                source: index)
        }
        let batch = try data.next(200)
        #expect(batch.attentionStart.allSatisfy { $0 == 0 })
        for row in 0..<200 {
            for (half, index) in [0, 1].enumerated() {
                let expected = try streams[index].next(limit: 16)
                let places = row * 32 + half * 16..<row * 32 + half * 16 + 16
                #expect(Array(batch.tokens[places]) == Array(expected.tokens))
                // The last token of a half is asked for what follows it in its own text.
                #expect(Array(batch.targets[places]) == expected.targets)
            }
        }
        #expect(data.sources.map(\.shown) == [200 * 16, 200 * 16])
        #expect(Set(batch.documents.map(\.path)) == Set(Self.files[..<2]))
    }

    /// Sequences have two sources wherever shares allow it, and shares are kept within a sequence at every moment.
    @Test(arguments: [
        [1.0, 1], [3, 1], [7, 3], [2, 1, 1], [1, 1, 1], [6, 1, 1], [0.6, 0.1, 0.1, 0.1, 0.1],
        [20, 7, 5, 3, 1, 0.5, 0.2], [100, 1, 2],
    ])
    func bilingualSequencesKeepTheProportions(_ weights: [Double]) throws {
        var data = try mixture(
            weights, of: weights.indices.map { Self.files[$0 % 2] }, length: 16, packing: .bilingual)
        let shares = weights.map { $0 / weights.reduce(0, +) }
        let most = shares.max() ?? 0
        var alone = 0
        for taken in 1...600 {
            let before = data.sources.map(\.shown)
            _ = try data.next(1)
            let after = data.sources.map(\.shown)
            if zip(before, after).contains(where: { $1 - $0 == 16 }) { alone += 1 }
            for (share, shown) in zip(shares, after) {
                #expect(abs(Double(shown) - share * Double(16 * taken)) <= 16)
            }
        }
        #expect(abs(Double(alone) - max(0, 2 * most - 1) * 600) <= 1.5, "\(alone)")
    }

    /// Each source is shown to the token that its limit says, whatever is left over at the end.
    @Test(arguments: [1, 15, 16, 17, 33, 1_000, 20_001]) func aBilingualRunShowsAsMany(_ tokens: Int) throws {
        var data = try mixture([5, 2, 4], extent: .tokens(tokens), packing: .bilingual)
        let count = try #require(data.sequenceCount())
        _ = try data.next(count - 1)
        let before = data.sources.reduce(0) { $0 + $1.shown }
        let last = try data.next(1)
        let own = data.sources.reduce(-before) { $0 + $1.shown }
        #expect(own > 0 && data.sources.map(\.shown) == data.limits)
        #expect(data.sources.reduce(0) { $0 + $1.shown } == tokens && data.progress(after: 0) == data.sources)
        // What fills the last sequence sees no text and is not seen by any.
        #expect(last.targets[own...].allSatisfy { $0 == -1 })
        #expect(last.attentionStart[..<own].allSatisfy { $0 == 0 })
        #expect(last.attentionStart[own...].allSatisfy { $0 == own })
        #expect(try data.next(1).targetCount == 0)
    }

    @Test func whatCannotBeHalvedIsRefused() throws {
        let one = #expect(throws: UserFacingError.self) { try mixture([1], packing: .bilingual) }
        #expect(one?.message.contains("texts of two sources into a sequence, and there is only one") == true)
        let odd = #expect(throws: UserFacingError.self) {
            try mixture([1, 1], length: 33, packing: .bilingual)
        }
        #expect(odd?.message.contains("length must be even, not 33") == true)
        var job = TrainingJob()
        (job.data, job.packing) = ([TextSource(path: "a")], .bilingual)
        #expect(throws: try #require(one)) { try job.check() }
        job.replay = [TextSource(path: "b")]
        job.length = 33
        #expect(throws: UserFacingError.self) { try job.check() }
        job.length = 32
        try job.check()
        (job.data, job.replay, job.ids) = ([], [], "rows.safetensors")
        let rows = #expect(throws: UserFacingError.self) { try job.check(prefix: "--") }
        #expect(rows?.message.contains("--packing is for text") == true)
    }

    @Test func theSeedDecidesTheOrder() throws {
        var (a, b, c) = (try mixture([1]), try mixture([1]), try mixture([1], seed: 2))
        let first = try a.next(4)
        #expect(try b.next(4) == first)
        #expect(try c.next(4) != first)
    }

    @Test func ordersArePermutationsThatDifferByPass() {
        let orders = (0..<3).map { documentOrder(count: 50, seed: 9, source: 1, pass: $0) }
        for order in orders { #expect(order.sorted() == Array(0..<50)) }
        #expect(Set(orders).count == 3)
        // A run that was kept goes on in the order in which it began; computed in Python.
        #expect(documentOrder(count: 10, seed: 9, source: 1, pass: 2) == [8, 4, 5, 6, 1, 3, 9, 7, 0, 2])
    }

    @Test(arguments: [0, -1, Double.nan, .infinity]) func refusesAWeight(_ weight: Double) throws {
        #expect(throws: UserFacingError.self) { try mixture([weight]) }
    }

    @Test func refusesTokensWithoutARow() throws {
        let error = #expect(throws: UserFacingError.self) {
            var cache = SourceCache(tokenizer: try #require(tokenizer), vocabularySize: 300)
            _ = try cache.open([TextSource(path: Self.files[0], weight: 1)], layout: layout())
        }
        #expect(error?.description.contains("rows 0 to 299") == true)
    }

    /// Of a block's sequences those of one long document come between those of others.
    @Test func theSequencesOfALongDocumentAreSpread() throws {
        let folder = try TemporaryFolder()
        let path = try unevenFile(in: folder)
        func changes(blockSize: Int) throws -> Int {
            var data = try mixture([1], of: [path], length: 16, extent: .passes(1), blockSize: blockSize)
            let isLong = try (0..<(try #require(data.sequenceCount()))).map { _ in
                try !data.next(1).tokens.contains(1)
            }
            return zip(isLong, isLong.dropFirst()).count { $0 != $1 }
        }
        #expect(try changes(blockSize: 16) <= 8)
        #expect(try changes(blockSize: 1 << 20) > 40)
    }

    @Test func refusesAPlaceThatIsNotInTheData() throws {
        var data = try mixture([1])
        _ = try data.next(3)
        for change in 0..<9 {
            var position = data.position
            switch change {
            case 0: position.sources[0].token = 9_999_999
            case 1: position.sources[0].document = 9_999_999
            case 2: position.sources[0].sequence = 9_999_999
            case 3: position.sources = []
            case 4: position.sources[0].pass = -1
            case 5: position.sources[0].document = -1
            case 6: position.begun = []
            case 7: position.begun[0] = position.sources[0].shown + 1
            default: position.sources[0].shown = -1
            }
            var other = try mixture([1])
            #expect(throws: UserFacingError.self) { try other.move(to: position) }
        }
    }

    /// A file of which every third document is marked as synthetic, and how many tokens those have and all.
    private func markedFile(in folder: TemporaryFolder) throws -> (path: String, synthetic: Int, all: Int) {
        let lines = (0..<30).map { index in
            let text = (0...index % 7).map { "Row \(index) has \($0) cells." }.joined(separator: " ")
            return #"{"text": "\#(text)"\#(index % 3 == 0 ? #", "synthetic": "replay""# : "")}"#
        }
        let path = try folder.write("marked.jsonl", lines.joined(separator: "\n"))
        let documents = try documents(path)
        return (
            path, documents.enumerated().reduce(0) { $0 + ($1.offset % 3 == 0 ? $1.element.count : 0) },
            documents.reduce(0) { $0 + $1.count }
        )
    }

    @Test func countsSyntheticTokens() throws {
        let folder = try TemporaryFolder()
        let marked = try markedFile(in: folder)
        func data(_ extent: DataExtent) throws -> DataMixture {
            try mixture([1], of: [marked.path], extent: extent, blockSize: 200)
        }
        var run = try data(.passes(2))
        let count = try #require(run.sequenceCount())
        var (before, stop): (Int, Int) = (0, 0)
        for sequence in 0..<count {
            if sequence == count / 3 {
                // What was shown of them counts on where a run goes on.
                let position = run.position
                run = try data(.passes(2))
                try run.move(to: position)
                stop = try #require(run.sources[0].synthetic)
            }
            _ = try run.next(1)
            let now = try #require(run.sources[0].synthetic)
            #expect((0...32).contains(now - before))
            before = now
        }
        #expect(stop > 0 && stop < 2 * marked.synthetic)
        #expect(run.sources[0].shown == 2 * marked.all && run.sources[0].synthetic == 2 * marked.synthetic)
        // As it was foretold; of a part as many as that has of all.
        #expect(try data(.passes(2)).progress(after: 0)[0].synthetic == 2 * marked.synthetic)
        let part = try data(.tokens(marked.all / 2)).progress(after: 0)[0]
        #expect(abs(2 * (part.synthetic ?? 0) - marked.synthetic) <= 2)
        // Beside a source without any.
        var two = try mixture([1, 3], of: [marked.path, Self.files[0]], extent: .tokens(20 * 32))
        while two.sources.tokens < 20 * 32 { _ = try two.next(1) }
        let sources = two.sources
        #expect(
            sources[1].synthetic == nil && sources.figures[marked.path]?.synthetic == sources[0].synthetic)
        #expect(sources.syntheticShare == Double(sources[0].synthetic ?? 0) / 640)
        #expect(sources.adding(sources).map(\.synthetic) == [2 * (sources[0].synthetic ?? 0), nil])
    }

    @Test func keepsTheMarkInPackedTokens() throws {
        let folder = try TemporaryFolder()
        let marked = try markedFile(in: folder)
        let tokenizer = try #require(tokenizer)
        let tokenization = try Tokenization(of: [marked.path], by: tokenizer, threads: 2)
        _ = try tokenization.write(to: folder.path("a.safetensors"), tool: "test")
        let shards = try ShardedTokenization(
            of: [marked.path], by: tokenizer, seed: 3, shardBytes: 1_000, threads: 2, tool: "test")
        _ = try shards.write(to: folder.path("shards"))
        for path in [folder.path("a.safetensors"), folder.path("shards")] {
            var data = try mixture([1], of: [path], extent: .passes(1))
            while data.sources[0].shown < marked.all { _ = try data.next(1) }
            #expect(data.sources[0].synthetic == marked.synthetic, "\(path)")
        }
        let plain = try Tokenization(of: [Self.files[0]], by: tokenizer, threads: 2)
        _ = try plain.write(to: folder.path("b.safetensors"), tool: "test")
        #expect(try mixture([1], of: [folder.path("b.safetensors")]).sources[0].synthetic == nil)
    }
}
