import TestSupport
import Testing

@testable import Formats

/// Files of several parts each, compared with what copies and computes of them.
@Suite struct SourceComparisonTests {
    private let folder: TemporaryFolder
    private let sources: [WeightsFile]

    init() throws {
        folder = try TemporaryFolder()
        var files: [WeightsFile] = []
        for number in 0..<3 {
            let tensors = [
                SmallTensor("\(number).a", .bf16, [300, 1024]), SmallTensor("\(number).b", .f32, [3]),
                SmallTensor("\(number).c", .bf16, [700, 1024]),
            ]
            let path = try folder.write("\(number).safetensors", safetensors(tensors))
            files.append(try WeightsFile(path: path))
        }
        sources = files
    }

    private func source(_ file: Int, _ tensor: Int) throws -> TensorExpression {
        try .stored(sources[file].tensors[tensor])
    }

    /// What a result may hold: copies, the same twice, rows, joined ones, casts, derived rows, zeros.
    private func expected() throws -> [TensorExpression] {
        let (a, c) = (try source(0, 0), try source(1, 2))
        return [
            a, a, try source(0, 1), c, try source(2, 2), try c.rows(111..<650),
            try .joined([a.rows(7..<200), try source(2, 0), .zeros(.bf16, shape: [9, 1024]), a]),
            try c.cast(to: .f32), try a.transposed(), try .zeros(.f32, shape: [300_000]),
            try a.derived(.gathered([5, 299, 5, 0])), try c.derived(.mean(of: 3..<600, count: 2)),
            try .joined([a, c.cast(to: .f32).cast(to: .bf16)]),
        ]
    }

    /// The bytes of a tensor, of which some are changed.
    private func changed(_ tensor: TensorExpression, at places: [Int] = []) throws -> TensorExpression {
        var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try tensor.read(0..<tensor.byteCount, into: &room)
        for place in places { bytes[place] ^= 0x40 }
        return try .stored(
            MemoryTensor(name: "found", type: tensor.type, shape: tensor.shape, bytes: bytes))
    }

    private func compare(
        _ items: [SourceComparison.Item], threads: Int, isHashed: Bool = true
    ) throws -> SourceComparison.Result {
        let comparison = SourceComparison(items, sources: sources.map { ($0.file, isHashed) })
        var done = 0
        let result = try comparison.run(threads: threads, isCancelled: { false }) { done = $0 }
        if result.differences.allSatisfy({ $0 == nil }) {
            #expect(done == items.reduce(0) { $0 + $1.byteCount })
        }
        return result
    }

    @Test(arguments: [1, 2, 3, 8]) func findsNothingWhereNothingIs(threads: Int) throws {
        let items = try expected().map {
            SourceComparison.Item(name: "t", found: try changed($0), expected: $0)
        }
        for isHashed in [true, false] {
            let result = try compare(items, threads: threads, isHashed: isHashed)
            #expect(result.differences.allSatisfy { $0 == nil })
            let sums = try sources.map { try FileDigest.sha256($0.file) }
            #expect(result.checksums == sums.map { isHashed ? $0 : nil })
        }
        #expect(try compare([], threads: threads).checksums.compactMap(\.self).count == 3)
    }

    /// The first of several changed bytes is found, wherever it lies, with any number of threads.
    @Test(arguments: [1, 2, 3, 8]) func findsTheFirstDifference(threads: Int) throws {
        for share in [0, 0.13, 0.5, 0.99] {
            let items = try expected().map { tensor in
                let last = tensor.byteCount - 1
                let place = Int(Double(last) * share)
                return SourceComparison.Item(
                    name: "t",
                    found: try changed(tensor, at: Set([place, (place + last + 1) / 2, last]).sorted()),
                    expected: tensor)
            }
            let result = try compare(items, threads: threads)
            for (item, difference) in zip(items, result.differences) {
                #expect(difference == (try item.found.firstDifference(from: item.expected)))
                #expect(difference != nil)
            }
        }
    }

    @Test(arguments: [1, 2]) func aSourceThatEndsTooEarlyIsAnError(threads: Int) throws {
        let items = try expected().map { SourceComparison.Item(name: "t", found: $0, expected: $0) }
        try folder.write("1.safetensors", folder.bytes("1.safetensors").prefix(5000))
        // The open file is the one that was cut off.
        #expect(throws: UserFacingError.self) { try compare(items, threads: threads) }
    }

    @Test func aStopIsHeeded() throws {
        let items = try expected().map { SourceComparison.Item(name: "t", found: $0, expected: $0) }
        let comparison = SourceComparison(items, sources: sources.map { ($0.file, true) })
        #expect(throws: UserFacingError.interrupted) {
            try comparison.run(threads: 2, isCancelled: { true }, progress: { _ in })
        }
    }
}
