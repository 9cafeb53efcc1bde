public import ArgumentParser
import Formats
public import Trainer

/// Where a heal is carried out, if not by the engine of this program.
struct HealCluster: ParsableArguments {
    @Option(
        name: .customLong("on"),
        help: ArgumentHelp(
            "Compute by PyTorch: torchrun, with so many processes on a host (default: one for each GPU, or one). This program plans and verifies.",
            valueName: "torchrun[:processes]"))
    var target: ClusterTarget?
    @Option(
        help: ArgumentHelp(
            "How many hosts compute by --on, this one among them. What is to be started on the others is printed.",
            valueName: "count"))
    var hosts: Int?
    @Option(
        help: ArgumentHelp(
            "Where the hosts meet: this host as the others reach it, and a free port of it (default: 29500).",
            valueName: "host[:port]"))
    var rendezvous: Rendezvous?
    @Option(help: ArgumentHelp("What --on computes on: cuda or cpu.", valueName: "device"))
    var device: ClusterSettings.Device?
    @Option(
        help: ArgumentHelp(
            "What --on computes in: bf16 or f32 (default: bf16 on cuda, f32 on cpu). Weights are float32, moments and gradients as --moments and --gradients say.",
            valueName: "type"))
    var dtype: ClusterSettings.Precision?
    @Option(
        help: ArgumentHelp(
            "The Python of --on (default: that of the first torchrun on PATH).", valueName: "program"))
    var python: String?
    @Flag(help: "Write the run folder of --on, OUT.cluster, and end; see trainer adopt.") var planOnly = false

    func validate() throws {
        let isPlain = device == nil && dtype == nil && python == nil && hosts == nil && rendezvous == nil
        guard target != nil || isPlain && !planOnly else {
            throw ValidationError(
                "--hosts, --rendezvous, --device, --dtype, --python and --plan-only are of --on; give --on torchrun, or none of them"
            )
        }
        if let hosts, !(1...4_096).contains(hosts) {
            throw ValidationError("--hosts must be from 1 to 4,096, not \(hosts)")
        }
        guard rendezvous == nil || hosts ?? 1 > 1 else {
            throw ValidationError("--rendezvous is where several hosts meet; give --hosts, too")
        }
        guard hosts ?? 1 == 1 || rendezvous != nil || planOnly else {
            throw ValidationError(
                "--hosts needs --rendezvous HOST[:PORT], this host as the others reach it, or --plan-only")
        }
        if device == .cpu, dtype == .bf16 {
            throw ValidationError("--dtype bf16 is for --device cuda; on a CPU --on computes in f32")
        }
    }

    /// The settings; nil where this program computes.
    var settings: ClusterSettings? {
        target.map {
            ClusterSettings(
                processes: $0.processes, hosts: hosts ?? 1, rendezvous: rendezvous, device: device ?? .cuda,
                precision: dtype, python: python)
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

extension Rendezvous: ExpressibleByArgument {}
extension ClusterSettings.Device: ExpressibleByArgument {}
extension ClusterSettings.Precision: ExpressibleByArgument {}
