import Foundation
import Testing

@testable import Trainer

@Suite struct KernelChoiceTests {
    /// OpenBLAS left to itself runs SSE3 kernels on processors newer than itself, at a fifth of the speed.
    @Test func openBLASUsesWhatTheProcessorHas() throws {
        let flags =
            try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
            .split(separator: "\n").first { $0.hasPrefix("flags") }?.split(separator: " ") ?? []
        let core = try CPUEngine(threads: 1).blasCore
        #expect(!core.isEmpty)
        guard flags.contains("avx2"), flags.contains("fma") else { return }
        let wide = ["Haswell", "Zen", "SkylakeX", "Cooperlake", "Sapphirerapids"]
        #expect(wide.map { $0.lowercased() }.contains(core.lowercased()))
    }
}
