internal import Formats

/// The PyTorchJob by which Kubeflow's training operator carries a ``RunFolder`` out: `pytorchjob.yaml`.
///
/// The operator gives each pod torchrun's settings in variables (PET_NNODES, PET_NODE_RANK, PET_NPROC_PER_NODE, PET_MASTER_ADDR,
/// PET_MASTER_PORT), so the master's pod is where the hosts meet. A pod that is taken away makes the file `stop`: the worker keeps the
/// run, all pods end by 143, which restartPolicy ExitCode starts again, and the run goes on. The fields are those of kubeflow.org/v1,
/// version 1.9.
enum KubernetesJob {
    static let fileName = "pytorchjob.yaml"

    /// The file's text.
    static func text(_ job: ClusterJob, _ settings: ClusterSettings) -> String {
        let processes = settings.processesToAskFor
        let models = ["model"] + (job.teacher == nil ? [] : ["teacher"])
        var replicas = [replica("Master", 1, settings, models)]
        if settings.hosts > 1 { replicas.append(replica("Worker", settings.hosts - 1, settings, models)) }
        return """
            # Carries the job of this folder out by the training operator of Kubeflow: \(settings.hostsAndProcesses).
            #   kubectl apply -f \(fileName)
            # These are yours to fill in: IMAGE, with Python, torch and transformers as requirements.txt has them; RUN, the claim of
            # the volume that holds this folder, which all pods can write to; \
            \(models.map { "\($0.uppercased()), that of the volume that holds the \($0)" }.joined(separator: "; ")).
            apiVersion: kubeflow.org/v1
            kind: PyTorchJob
            metadata:
              name: \(settings.name(of: job))
            spec:
              nprocPerNode: "\(processes)"
              runPolicy:
                backoffLimit: 100
              pytorchReplicaSpecs:
            \(replicas.joined(separator: "\n"))

            """
    }

    /// The pods of a kind.
    private static func replica(
        _ kind: String, _ count: Int, _ settings: ClusterSettings, _ models: [String]
    ) -> String {
        let processes = settings.processesToAskFor
        let asked = settings.device == .cuda ? "nvidia.com/gpu" : "cpu"
        let script = """
            trap 'touch stop' TERM
            if [ "$PET_NODE_RANK" = 0 ]; then rm -f stop; fi
            torchrun worker.py job.json \(models.map { "--\($0) /\($0)" }.joined(separator: " ")) &
            \(ShellScript.waiting)
            if [ "$status" -eq 0 ] && [ ! -d result ]; then exit 143; fi
            exit "$status"
            """
        let mounts = models.map { name in
            """
                            - name: \(name)
                              mountPath: /\(name)
                              readOnly: true
            """
        }
        let volumes = models.map { name in
            """
                        - name: \(name)
                          persistentVolumeClaim:
                            claimName: \(name.uppercased())
                            readOnly: true
            """
        }
        return """
                \(kind):
                  replicas: \(count)
                  restartPolicy: ExitCode
                  template:
                    spec:
                      terminationGracePeriodSeconds: 600
                      containers:
                        - name: pytorch
                          image: IMAGE
                          workingDir: /run-folder
                          command:
                            - bash
                            - -c
                            - |
            \(script.split(separator: "\n").map { "                  \($0)" }.joined(separator: "\n"))
                          resources:
                            limits:
                              \(asked): \(processes)
                          volumeMounts:
                            - name: run
                              mountPath: /run-folder
            \(mounts.joined(separator: "\n"))
                            - name: shared-memory
                              mountPath: /dev/shm
                      volumes:
                        - name: run
                          persistentVolumeClaim:
                            claimName: RUN
            \(volumes.joined(separator: "\n"))
                        - name: shared-memory
                          emptyDir:
                            medium: Memory
            """
    }
}
