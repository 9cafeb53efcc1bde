internal import Foundation
internal import Models

/// The memory that a run takes, told from its shape before any is taken.
public struct MemoryNeed: Sendable, Equatable {
    /// The trained parameters in float32, and the frozen ones as the checkpoint has them.
    public let weights: Int
    /// A gradient for each that is trained.
    public let gradients: Int
    /// AdamW's two moments of each, and the running average where there is one.
    public let moments: Int
    /// Intermediate results of the passes, logits and their gradients, as far as no gradients lie over them later.
    public let activations: Int
    /// Where documents lie, the tokens that are shuffled, the longest document, and the sets that are evaluated.
    public let data: Int
    /// A teacher: its weights as they are stored, what it computes a sequence with, and what is kept of a batch.
    public let teacher: Int
    /// The program itself and what its threads scribble on.
    public let program: Int

    /// The bytes of all of it.
    public var total: Int { weights + gradients + moments + activations + data + teacher + program }

    /// What a run takes.
    init(
        _ plan: StagePlan, _ architecture: Architecture, layout: ParameterLayout, data: Int,
        teacher: PreparedTeacher? = nil, threads: Int
    ) {
        weights = 4 * (layout.trainedCount + layout.frozenWords)
        gradients = 4 * layout.gradientWords
        let moment = Region(plan.moments.precision, start: 0, count: layout.trainedCount)
        let scales = plan.moments == .int8 ? layout.trainedCount / Precision.block : 0
        moments =
            2 * 4 * (moment.words.count + scales) + (plan.averageDecay == nil ? 0 : 4 * layout.trainedCount)
        let memory = plan.activations(architecture, layout)
        let readings =
            plan.rows == nil
            ? 0 : RowDistiller<DefaultEngine>.Plan(rows: memory.rows, width: architecture.hiddenSize).count
        activations = 4 * (memory.count + readings) - gradients
        self.data = data
        self.teacher = teacher?.byteCount(in: plan, architecture, memory) ?? 0
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
