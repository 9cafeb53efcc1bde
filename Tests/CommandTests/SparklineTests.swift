import CommandLineSupport
import Testing

@Suite struct SparklineTests {
    private func line(_ values: [Double]) -> String {
        var line = Sparkline()
        for value in values { line.add(value) }
        return "\(line)"
    }

    @Test func drawsFromTheLeastToTheLargest() {
        #expect(line([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█")
        #expect(line([8, 1, 4.5]) == "█▁▅")
        #expect(line([]).isEmpty && line([3]).isEmpty && line([3, 3]).isEmpty)
    }

    /// A curve of any length has at most 24 letters, each a mean of as many points.
    @Test func longCurvesAreDrawnCloser() {
        for count in [24, 25, 48, 49, 1_000, 10_000] {
            let falling = line((0..<count).map { Double(-$0) })
            #expect(
                (12...24).contains(falling.count) && falling.first == "█" && falling.last == "▁", "\(count)")
            #expect(falling == String(falling.sorted(by: >)))
        }
    }
}
