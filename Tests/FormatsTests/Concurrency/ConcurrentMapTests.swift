import Testing

@testable import Formats

@Suite struct ConcurrentMapTests {
    private struct Failure: Error, Equatable { let index: Int }

    @Test(arguments: [1, 2, 7, 100]) func keepsTheOrder(_ threads: Int) {
        #expect(mapConcurrently(50, threads: threads) { $0 * $0 } == (0..<50).map { $0 * $0 })
        #expect(mapConcurrently(0, threads: threads) { $0 } == [])
    }

    @Test(arguments: [1, 2, 7]) func throwsTheFirstError(_ threads: Int) {
        for _ in 0..<50 {
            let error = #expect(throws: Failure.self) {
                _ = try mapConcurrently(200, threads: threads) { index throws(Failure) in
                    if index % 13 == 12 { throw Failure(index: index) }
                    return index
                }
            }
            #expect(error == Failure(index: 12))
        }
    }
}
