public import ArgumentParser
import Formats
public import Trainer

/// Where a heal is carried out, if not by the engine of this program.
struct HealCluster: ParsableArguments {
    @Option(
        name: .customLong("on"),
        help: ArgumentHelp(
            "Compute by PyTorch: torchrun, with so many processes (default: one for each GPU, or one). This program plans and verifies.",
            valueName: "torchrun[:processes]"))
    var target: ClusterTarget?
    @Option(help: ArgumentHelp("What --on computes on: cuda or cpu.", valueName: "device"))
    var device: ClusterSettings.Device?
    @Option(
        help: ArgumentHelp(
            "What --on computes in: bf16 or f32 (default: bf16 on cuda, f32 on cpu). Weights, moments and gradients are float32.",
            valueName: "type"))
    var dtype: ClusterSettings.Precision?
    @Option(
        help: ArgumentHelp(
            "The Python of --on (default: that of the first torchrun on PATH).", valueName: "program"))
    var python: String?
    @Flag(help: "Write the run folder of --on, OUT.cluster, and end; see trainer adopt.") var planOnly = false

    func validate() throws {
        guard target != nil || device == nil && dtype == nil && python == nil && !planOnly else {
            throw ValidationError(
                "--device, --dtype, --python and --plan-only are of --on; give --on torchrun, or none of them"
            )
        }
        if device == .cpu, dtype == .bf16 {
            throw ValidationError("--dtype bf16 is for --device cuda; on a CPU --on computes in f32")
        }
    }

    /// The settings; nil where this program computes.
    var settings: ClusterSettings? {
        target.map {
            ClusterSettings(
                processes: $0.processes, device: device ?? .cuda, precision: dtype, python: python)
        }
    }
}

/// `torchrun`, or `torchrun:4`.
struct ClusterTarget: ExpressibleByArgument {
    /// How many processes; nil where it is not said.
    var processes: Int?

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0] == "torchrun" else { return nil }
        guard parts.count == 2 else { return }
        guard let count = Int(parts[1]), (1...4_096).contains(count) else { return nil }
        processes = count
    }
}

extension ClusterSettings.Device: ExpressibleByArgument {}
extension ClusterSettings.Precision: ExpressibleByArgument {}
