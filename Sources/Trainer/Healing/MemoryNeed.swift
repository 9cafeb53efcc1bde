internal import Foundation

/// The memory that a run takes, told from its shape before any is taken.
public struct MemoryNeed: Sendable, Equatable {
    /// All parameters, in float32.
    public let weights: Int
    /// A gradient for each.
    public let gradients: Int
    /// AdamW's two moments of each.
    public let moments: Int
    /// Intermediate results of the passes, logits and their gradients.
    public let activations: Int
    /// The program itself and what its threads scribble on.
    public let program: Int

    /// The bytes of all of it.
    public var total: Int { weights + gradients + moments + activations + program }

    /// What a run of this shape takes.
    public init(
        _ configuration: TransformerConfiguration, layout: ParameterLayout, batch: Int, length: Int,
        recomputation: Recomputation, moments precision: MomentPrecision, threads: Int
    ) {
        let plan = ActivationPlan(configuration, batch: batch, time: length, recomputation: recomputation)
        weights = 4 * layout.count
        gradients = 4 * layout.count
        moments =
            switch precision {
            case .f32: 8 * layout.count
            case .bf16: 4 * layout.count
            case .int8: 2 * layout.count + 8 * (layout.count / Moment<CPUBuffer>.block)
            }
        activations = 4 * plan.count
        // Code and heap, about 24 MB measured; OpenBLAS packs panels in about 12 MB a thread.
        program = 24_000_000 + threads * 12_000_000
    }

    /// What a run may take of this machine: what is available, within the limit of its control group; nil where the
    /// system does not say.
    public static var available: Int? {
        let machine = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1_024 }
        func group(_ name: String) -> Int? {
            let text = try? String(contentsOfFile: "/sys/fs/cgroup/\(name)", encoding: .utf8)
            return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        let limit = group("memory.max").map { $0 - (group("memory.current") ?? 0) }
        return [machine, limit].compactMap(\.self).min()
    }
}
