# frozen_string_literal: true
# SPDX-License-Identifier: Apache-2.0
# A provider of Vagrant whose machines are up without being anything, and a communicator that hears nothing.
module Machines
  class Up
    def initialize(app, _env) = @app = app

    def call(env)
      env[:machine].id = env[:machine].name.to_s
      @app.call(env)
    end
  end

  class Provider < Vagrant.plugin("2", :provider)
    def initialize(machine) = @machine = machine
    def action(name) = name == :up ? Vagrant::Action::Builder.new.tap { |it| it.use(Up) } : nil

    def state
      Vagrant::MachineState.new(@machine.id ? :running : :not_created, "", "")
    end
  end

  class Silence < Vagrant.plugin("2", :communicator)
    def ready? = true
    def sudo(_command, _opts = nil) = yield(:stdout, "told\n")
  end

  class Plugin < Vagrant.plugin("2")
    name "machines"
    provider(:nothing, box_optional: true, defaultable: false) { Provider }
    communicator(:silence) { Silence }
  end
end
Vagrant.configure("2") { |config| config.vm.communicator = :silence }
