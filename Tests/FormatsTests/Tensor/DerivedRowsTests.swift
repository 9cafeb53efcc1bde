import Foundation
import Testing

@testable import Formats

extension TensorExpression {
    fileprivate func bytes(_ range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try read(range, into: &room)
        return bytes
    }

    /// The same as bytes in memory, so that nothing is known of how they were made; matrices, element by element.
    fileprivate func stored() throws -> TensorExpression {
        guard case .made(.transposed, let operands) = node, let size = type.byteSize else { return self }
        let bytes = try operands[0].bytes(0..<byteCount)
        let (rows, columns) = (shape[0], shape[1])
        var turned: [UInt8] = []
        for row in 0..<rows {
            for column in 0..<columns {
                let place = (column * rows + row) * size
                turned += bytes[place..<place + size]
            }
        }
        return try .stored(MemoryTensor(name: "t", type: type, shape: shape, bytes: turned))
    }
}

@Suite("Rows made of rows")
struct DerivedRowsTests {
    private func tensor(rows: Int = 40, width: Int = 3, type: ElementType = .f32) throws -> TensorExpression {
        let floats: [Float] = (0..<rows * width).map { (place: Int) -> Float in
            Float(place * 37 % 101 - 50) / 8
        }
        return try TensorExpression.stored(MemoryTensor(name: "w", shape: [rows, width], floats: floats))
            .cast(to: type)
    }

    @Test func gathersAndCombines() throws {
        let base = try tensor()
        let old = try base.floats()
        func row(_ index: Int) -> [Float] { Array(old[index * 3..<index * 3 + 3]) }
        #expect(try base.derived(.gathered([5, 0, 5])).floats() == row(5) + row(0) + row(5))
        var sums = RowCombinations()
        sums.append(meanOf: [1, 2])
        sums.append([], weights: [])
        sums.append([3, 4], weights: [2, -1])
        let made = try base.derived(.combined(sums))
        #expect(made.shape == [3, 3])
        let (one, two, three, four) = (row(1), row(2), row(3), row(4))
        var expected: [Float] = (0..<3).map { (one[$0] + two[$0]) / 2 }
        expected += [0, 0, 0]
        expected += (0..<3).map { 2 * three[$0] - four[$0] }
        #expect(try made.floats() == expected)
        // A part that begins and ends inside rows.
        var part = [Float](repeating: 0, count: 4)
        var room = part.mutableSpan
        try made.floats(2..<6, into: &room)
        #expect(part == Array(expected[2..<6]))
    }

    /// Old rows and rows made of them are columns where a matrix has a column for each token.
    @Test(arguments: [ElementType.f32, .bf16], [nil, ElementType.f16])
    func grownColumnsAreGrownRowsTurned(type: ElementType, cast: ElementType?) throws {
        let base = try tensor(rows: 40, width: 7, type: type)
        var sums = RowCombinations()
        sums.append(meanOf: [1, 2])
        sums.append([3, 4], weights: [2, -1])
        let rules: [RowRule] = [
            .gathered([39, 0, 5]), .combined(sums), .mean(of: 2..<40, count: 2),
            .sampled(RowSample(range: 0..<40, count: 70, variance: 0.25, seed: 7)),
        ]
        /// All rows, made of those that are there.
        func grown(_ rows: TensorExpression) throws -> TensorExpression {
            var parts = [try rows.rows(3..<30)]
            for rule in rules { parts.append(try rows.derived(rule)) }
            return try .joined(parts + [rows.rows(0..<1).zeroed()])
        }
        var (turned, plain) = (
            try grown(base.transposed().stored().transposed()).transposed(), try grown(base)
        )
        if let cast { (turned, plain) = (try turned.cast(to: cast), try plain.cast(to: cast)) }
        #expect(turned.shape == [7, 105])
        let expected = try plain.transposed().stored()
        let size = try #require(turned.type.byteSize)
        for part in [1, 5, 105, 106, 300, 1000].map({ $0 * size }) {
            for start in stride(from: 0, to: turned.byteCount, by: part) {
                let range = start..<min(start + part, turned.byteCount)
                #expect(try turned.bytes(range) == expected.bytes(range))
            }
        }
    }

    @Test func gatheredRowsKeepTheirBits() throws {
        let base = try tensor(type: .bf16)
        let made = try base.derived(.gathered([7, 3]))
        #expect(try made.firstDifference(from: .joined([base.rows(7..<8), base.rows(3..<4)])) == nil)
    }

    @Test func theMeanIsTheMean() throws {
        let base = try tensor()
        let old = try base.floats()
        let mean: [Float] = (0..<3).map { (column: Int) -> Float in
            var sum = 0.0
            for row in 2..<40 { sum += Double(old[row * 3 + column]) }
            return Float(sum / 38)
        }
        #expect(try base.derived(.mean(of: 2..<40, count: 2)).floats() == mean + mean)
    }

    /// Mean and covariance of many draws are those that were asked for, and draws do not depend on how they are read.
    @Test func drawsFromTheDistribution() throws {
        let base = try tensor()
        let old = try base.floats().map(Double.init)
        let sample = RowSample(range: 0..<40, count: 20_000, variance: 0.25, seed: 7)
        let made = try base.derived(.sampled(sample))
        let drawn = try made.floats().map(Double.init)
        func statistics(_ numbers: [Double]) -> (mean: [Double], covariance: [Double]) {
            let count = numbers.count / 3
            var (mean, covariance) = ([0.0, 0, 0], [Double](repeating: 0, count: 9))
            for place in numbers.indices { mean[place % 3] += numbers[place] / Double(count) }
            for row in 0..<count {
                for cell in 0..<9 {
                    let left = numbers[row * 3 + cell / 3] - mean[cell / 3]
                    let right = numbers[row * 3 + cell % 3] - mean[cell % 3]
                    covariance[cell] += left * right / Double(count)
                }
            }
            return (mean, covariance)
        }
        let (wanted, found) = (statistics(old), statistics(drawn))
        for (a, b) in zip(wanted.mean, found.mean) { #expect(abs(a - b) < 0.08) }
        for (a, b) in zip(wanted.covariance, found.covariance) { #expect(abs(a * 0.25 - b) < 0.25) }
        var part = [Float](repeating: 0, count: 6)
        var room = part.mutableSpan
        try made.floats(3 * 777..<3 * 779, into: &room)
        #expect(part.map(Double.init) == Array(drawn[3 * 777..<3 * 779]))
        let other = RowSample(range: 0..<40, count: 20_000, variance: 0.25, seed: 8)
        #expect(try base.derived(.sampled(other)).floats().map(Double.init) != drawn)
    }

    /// Each number is added up in the order of the source rows, every product and sum being rounded: the very bits of
    /// plain loops, for sizes that fill no tile.
    @Test(arguments: [(3, 5, 40), (67, 70, 301), (64, 64, 128)])
    func drawsAreTheSumsOfPlainLoops(width: Int, count: Int, height: Int) throws {
        let base = try tensor(rows: height, width: width)
        let old = try base.floats()
        let sample = RowSample(range: 1..<height, count: count, variance: 0.5, seed: 11)
        let sources = height - 1
        let mean = (0..<width).map { column in
            (1..<height).reduce(0.0) { $0 + Double(old[$1 * width + column]) } / Double(sources)
        }
        let scale = (0.5 / Double(sources)).squareRoot()
        var expected: [Float] = []
        for row in 0..<count {
            let noise = CounterNoise.normals(11, tile: row / 64, first: 0, count: sources)
            for column in 0..<width {
                var sum: Float = 0
                for source in 0..<sources {
                    let centered = old[(source + 1) * width + column] - Float(mean[column])
                    sum += noise[source * 64 + row % 64] * centered
                }
                expected.append(Float(mean[column] + scale * Double(sum)))
            }
        }
        #expect(try base.derived(.sampled(sample)).floats() == expected)
    }

    /// Many rows are drawn in several goes; which rows are drawn with a row changes nothing of it.
    @Test func drawsDoNotDependOnTheirNeighbours() {
        let block: [Float] = (0..<30).map { Float($0 * 7 % 11) }
        func draw(_ row: Int, of count: Int) -> ArraySlice<Double> {
            let draws = RowDraws(around: row, of: count, width: 3, seed: 4)
            draws.add(block, first: 0, count: 10, minus: [1, 2, 3])
            var numbers = [0.0, 0, 0][...]
            draws.draw(row, mean: [1, 2, 3], scale: 1, into: &numbers)
            return numbers
        }
        let most = RowDraws(around: 0, of: .max / 2, width: 3, seed: 4).rows.count
        let row = most + 77
        #expect(RowDraws(around: row, of: row + 1000, width: 3, seed: 4).rows == most..<row + 1000)
        #expect(draw(row, of: row + 1000) == draw(row, of: row + 1))
        #expect(draw(row, of: row + 1) != draw(row - 1, of: row + 1))
    }

    /// What was announced is what is told, and what is thrown meanwhile ends it.
    @Test func workIsToldAndCanBeEnded() throws {
        let base = try tensor(rows: 5000, width: 200)
        let made = try base.derived(.sampled(RowSample(range: 0..<5000, count: 100, variance: 1, seed: 1)))
        let grown = try TensorExpression.joined([base, made.rows(10..<60)])
        #expect(made.computation == 100 * 5000 * 200 / 64)
        #expect(grown.computation == made.computation / 2)
        #expect(base.computation == 0)
        var told: [Int] = []
        var bytes = [UInt8](repeating: 0, count: made.byteCount)
        func read(_ onWork: WorkObserver) throws {
            var span = bytes.mutableSpan
            var room = unsafe span.mutableBytes
            try made.read(0..<made.byteCount, into: &room, onWork: onWork)
        }
        try read { told.append($0) }
        #expect(told.count > 1 && abs(told.reduce(0, +) - made.computation) < told.count)
        let whole = bytes
        var asked = 0
        #expect(throws: UserFacingError.interrupted) {
            try read { (_) throws(UserFacingError) in
                asked += 1
                throw .interrupted
            }
        }
        #expect(asked == 1)
        try read { _ in }
        #expect(bytes == whole)
    }

    @Test func aManifestKeepsTheRule() throws {
        var sums = RowCombinations()
        sums.append(meanOf: [1, 2, 6])
        var weighted = sums
        weighted.append([3, 4], weights: [0.1, -1])
        let rules: [RowRule] = [
            .gathered([5, 0]), .combined(sums), .combined(weighted), .mean(of: 1..<9, count: 3),
            .sampled(RowSample(range: 0..<9, count: 3, variance: 1e-9, seed: .max)),
        ]
        for rule in rules {
            let provenance = try Provenance.zeros(.f32, shape: [9, 2]).derived(rule)
            let read = try JSON(parsing: provenance.json.serialized(indent: nil), file: "surgery.json")
            #expect(try Provenance.read(read, ManifestReader(file: "surgery.json")) == provenance)
        }
    }

    @Test func refusesRowsThatAreNotThere() throws {
        let base = try tensor()
        for rule in [RowRule.gathered([40]), .mean(of: 0..<41, count: 1), .mean(of: 3..<3, count: 1)] {
            #expect(throws: UserFacingError.self) { _ = try base.derived(rule) }
        }
        let integers = try TensorExpression.stored(
            MemoryTensor(name: "i", type: .i8, shape: [2, 2], bytes: [1, 2, 3, 4]))
        #expect(throws: UserFacingError.self) { _ = try integers.derived(.mean(of: 0..<2, count: 1)) }
        #expect(try integers.derived(.gathered([1])).byteCount == 2)
    }
}
