"""Ask pip-audit about known vulnerabilities of what is installed: ``make audit``, where its service can be reached.

pip-audit passes packages over that its service does not know, and succeeds; where it knows next to none, as behind a
mirror without the service, nothing was audited, and that is no success.
"""

import json
import subprocess
import sys


def main() -> int:
    """Print what was found; 0 if all is well, 1 if there are vulnerabilities, 2 if the service could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner=off", "--format=json"]
    done = subprocess.run([*command, "--timeout=30"], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.stderr.write(f"{done.stderr.strip()}\nnothing was audited: the service could not be asked\n")
        return 2
    audited = [each for each in found if "vulns" in each]
    bad = [(each["name"], each["version"], vuln) for each in audited for vuln in each["vulns"]]
    for name, version, vuln in bad:
        fixed = ", ".join(vuln["fix_versions"]) or "no version"
        sys.stdout.write(f"{name} {version}: {vuln['id']}, mended in {fixed}\n")
    sys.stdout.write(f"{len(audited)} of {len(found)} packages audited, {len(bad)} known vulnerabilities\n")
    if len(audited) < len(found) / 2:
        sys.stderr.write("most were not audited: pip-audit's service does not answer behind this package index\n")
        return 2
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
