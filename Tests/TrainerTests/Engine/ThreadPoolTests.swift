import Synchronization
import Testing

@testable import Trainer

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 4], [0, 1, 2, 3, 1_000]) func everyTaskRunsOnce(threads: Int, tasks: Int)
        throws
    {
        let pool = try ThreadPool(threads: threads)
        for _ in 0..<20 {
            let runs = Mutex([Int](repeating: 0, count: tasks))
            pool.run(.loss, tasks) { task, thread in
                precondition((0..<threads).contains(thread))
                runs.withLock { $0[task] += 1 }
            }
            #expect(runs.withLock { $0 } == [Int](repeating: 1, count: tasks))
        }
    }

    @Test(arguments: [1, 2, 16_384, 16_385, 50_000], [0, 1, 7, 20_000])
    func piecesCoverAll(count: Int, cost: Int) throws {
        let seen = Mutex<[Range<Int>]>([])
        try ThreadPool(threads: 2).forEachPiece(.loss, of: count, cost: cost) { piece in
            seen.withLock { $0.append(piece) }
        }
        let pieces = seen.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
        #expect(pieces.first?.lowerBound == 0 && pieces.last?.upperBound == count)
        #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }

    /// Two loops at once would write each other's results, so that is a clear stop.
    @Test func loopsDoNotOverlap() async {
        await #expect(processExitsWith: .failure) {
            let pool = try ThreadPool(threads: 2)
            pool.run(.loss, 1) { _, _ in pool.run(.loss, 1) { _, _ in } }
        }
    }
}
