import Testing

@testable import Trainer

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 4], [0, 1, 2, 3, 1_000]) func everyTaskRunsOnce(threads: Int, tasks: Int)
        throws
    {
        let pool = try ThreadPool(threads: threads)
        for _ in 0..<20 {
            let runs = try CPUBuffer(count: tasks)
            pool.run(.loss, tasks) { task, thread in
                precondition((0..<threads).contains(thread))
                unsafe runs.pointer[task] += 1
            }
            #expect(values(runs) == [Float](repeating: 1, count: tasks))
        }
    }

    @Test(arguments: [1, 2, 16_384, 16_385, 50_000], [0, 1, 7, 20_000])
    func piecesCoverAll(count: Int, cost: Int) throws {
        let seen = try CPUBuffer(count: count)
        try ThreadPool(threads: 2).forEachPiece(.loss, of: count, cost: cost) { piece in
            for element in piece { unsafe seen.pointer[element] += 1 }
        }
        #expect(values(seen) == [Float](repeating: 1, count: count))
    }

    // No lock guards the counters: the thread sanitizer, which does not know the library's, would see through it.
    private func values(_ buffer: CPUBuffer) -> [Float] {
        (0..<buffer.count).map { unsafe buffer.pointer[$0] }
    }

    /// Two loops at once would write each other's results, so that is a clear stop.
    @Test func loopsDoNotOverlap() async {
        await #expect(processExitsWith: .failure) {
            let pool = try ThreadPool(threads: 2)
            pool.run(.loss, 1) { _, _ in pool.run(.loss, 1) { _, _ in } }
        }
    }
}
