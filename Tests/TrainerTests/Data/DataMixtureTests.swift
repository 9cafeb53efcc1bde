import Formats
import Testing

@testable import Trainer

@Suite struct MixedTextTests {
    let tokenizer = try? Tokenizer.open(example("blank"))

    private func mixture(
        _ weights: [Double], length: Int = 32, isolates: Bool = true, seed: UInt64 = 1, lanes: Int = 4
    ) throws -> DataMixture {
        let files = ["data/english.val.jsonl", "data/korean.val.jsonl", "data/english.train.jsonl"]
        return try DataMixture(
            zip(files, weights).map { TextSource(path: example($0), weight: $1) },
            tokenizer: #require(tokenizer),
            rows: 1_024, endOfText: 2, length: length, isolatesDocuments: isolates, seed: seed, lanes: lanes)
    }

    @Test func keepsTheProportionsAtEveryMoment() throws {
        var data = try mixture([3, 1])
        for taken in 1...40 {
            _ = try data.next(1)
            let share = Double(data.position.taken[0]) / Double(taken)
            #expect(abs(share - 0.75) * Double(taken) <= 1)
        }
        #expect(data.position.taken == [30, 10])
    }

    @Test func predictsEveryTokenOnceInAPass() throws {
        let tokenizer = try #require(tokenizer)
        let file = try DocumentIndex(path: example("data/english.val.jsonl"))
        let documents = try (0..<file.count).map { try tokenizer.encode(file.text($0)) }
        let order = documentOrder(count: file.count, seed: 1, source: 0, epoch: 0)
        let stream = order.flatMap { documents[Int($0)] }
        var data = try mixture([1], lanes: 1)
        let sequences = (stream.count - 1) / 32
        let batch = try data.next(sequences)
        #expect(batch.tokens == Array(stream[0..<sequences * 32]))
        #expect(batch.targets == Array(stream[1...sequences * 32]))
    }

    @Test func aTokenSeesItsOwnDocumentOnly() throws {
        var data = try mixture([1], length: 512)
        let batch = try data.next(1)
        let begin = try #require(tokenizer?.id(of: "<s>"))
        var start: Int32 = 0
        var starts = 0
        for (position, token) in batch.tokens.enumerated() {
            if token == begin { (start, starts) = (Int32(position), starts + 1) }
            #expect(batch.attentionStart[position] == start)
        }
        #expect(starts > 1)
        var shared = try mixture([1], length: 512, isolates: false)
        let other = try shared.next(1)
        #expect(other.tokens == batch.tokens && other.attentionStart.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [1, 7, 60]) func goesOnWhereItStood(_ before: Int) throws {
        var data = try mixture([2, 1])
        _ = try data.next(before)
        let position = data.position
        let expected = try data.next(9)
        var other = try mixture([2, 1])
        try other.move(to: position)
        #expect(try other.next(9) == expected)
    }

    @Test func theSeedDecidesTheOrder() throws {
        var (a, b, c) = (try mixture([1]), try mixture([1]), try mixture([1], seed: 2))
        let first = try a.next(4)
        #expect(try b.next(4) == first)
        #expect(try c.next(4) != first)
    }

    @Test func ordersArePermutationsThatDifferByPass() {
        let orders = (0..<3).map { documentOrder(count: 50, seed: 9, source: 1, epoch: $0) }
        for order in orders { #expect(order.sorted() == Array(0..<50)) }
        #expect(Set(orders).count == 3)
        // A run that was kept goes on in the order in which it began; computed in Python.
        #expect(documentOrder(count: 10, seed: 9, source: 1, epoch: 2) == [8, 4, 5, 6, 1, 3, 9, 7, 0, 2])
    }

    @Test(arguments: [0, -1, Double.nan, .infinity]) func refusesAWeight(_ weight: Double) throws {
        #expect(throws: UserFacingError.self) { try mixture([weight]) }
    }

    @Test func refusesTokensWithoutARow() throws {
        let error = #expect(throws: UserFacingError.self) {
            try DataMixture(
                [TextSource(path: example("data/english.val.jsonl"), weight: 1)],
                tokenizer: #require(tokenizer),
                rows: 300, endOfText: 2, length: 8, isolatesDocuments: true, seed: 0)
        }
        #expect(error?.description.contains("rows 0 to 299") == true)
    }

    @Test func sequencesOfOneStepComeFromSeveralDocuments() throws {
        var data = try mixture([1], length: 16, lanes: 8)
        let batch = try data.next(8)
        let begin = try #require(tokenizer?.id(of: "<s>"))
        for row in 0..<8 { #expect(batch.tokens[row * 16] == begin) }
        let rows: [[Int32]] = (0..<8).map { Array(batch.tokens[$0 * 16..<($0 + 1) * 16]) }
        #expect(Set(rows).count == 8)
    }

    @Test func refusesAPlaceThatIsNotInTheData() throws {
        let data = try mixture([1])
        for change in 0..<5 {
            var position = data.position
            switch change {
            case 0: position.streams[0].lanes[1].token = 9_999_999
            case 1: position.streams[0].lanes[1].document = 9_999_999
            case 2: position.streams[0].lanes.removeLast()
            case 3: position.streams = []
            default: position.taken = [-1]
            }
            var other = try mixture([1])
            #expect(throws: UserFacingError.self) { try other.move(to: position) }
        }
    }
}
